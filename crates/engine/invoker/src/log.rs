//! One log stream: the platform's lines and the function's, in order, handed on in batches.

use std::io::{self, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard};

use base::{Account, Clocks, LogLine, LogSink, Region, Rng, Timestamp, TraceHeader};
use tokio::net::unix::pipe;

use crate::lines::{Splitter, Tail};
use crate::{Invocation, Target};

/// Lines and bytes kept back at most before they are handed on.
const BATCH_LINES: usize = 256;
const BATCH_BYTES: usize = 1 << 20;
/// Bytes read at most in one go. A pipe holds at most 1 MiB (`/proc/sys/fs/pipe-max-size`), so one go that began after a
/// response arrived has read all that was written before it.
const DRAIN_BYTES: usize = (1 << 20) + READ_BYTES;
const READ_BYTES: usize = 8 * 1024;

/// The stream of one execution environment.
pub(crate) struct Log {
    account: Account,
    region: Region,
    group: Arc<str>,
    /// Its name, which the function sees too.
    pub(crate) stream: Arc<str>,
    sink: Arc<dyn LogSink>,
    clocks: Arc<dyn Clocks>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    // Not yet handed on.
    batch: Vec<LogLine>,
    batch_bytes: usize,
    // Present during an invocation that wants it.
    tail: Option<Tail>,
    // Of the invocation that runs, or ran last.
    hops: u16,
}

impl Log {
    pub(crate) fn new(target: &Target, sink: Arc<dyn LogSink>, clocks: Arc<dyn Clocks>, rng: &dyn Rng) -> Arc<Self> {
        Arc::new(Self {
            account: target.account,
            region: target.region.clone(),
            group: Arc::clone(&target.log_group),
            stream: stream_name(clocks.product(), &target.key.version, rng).into(),
            sink,
            clocks,
            state: Mutex::default(),
        })
    }

    /// An invocation begins.
    pub(crate) fn begin(&self, invocation: &Invocation) {
        let mut state = self.lock();
        state.tail = invocation.want_tail.then(Tail::default);
        state.hops = invocation.trace.as_deref().map_or(0, TraceHeader::hops);
    }

    /// Adds one of the platform's lines.
    pub(crate) fn say(&self, text: String) {
        let at = self.clocks.product();
        self.add(&mut self.lock(), at, text);
    }

    /// Hands on what is kept back. The sink never blocks, so the order is kept by holding the lock.
    pub(crate) fn flush(&self) {
        self.hand_on(&mut self.lock());
    }

    /// The invocation's last line: ends its tail and hands everything on.
    pub(crate) fn finish(&self, text: String) -> Option<Vec<u8>> {
        let at = self.clocks.product();
        let mut state = self.lock();
        self.add(&mut state, at, text);
        self.hand_on(&mut state);
        state.tail.take().map(Tail::finish)
    }

    fn add(&self, state: &mut State, at: Timestamp, text: String) {
        if let Some(tail) = &mut state.tail {
            tail.push(&text);
        }
        state.batch_bytes += text.len();
        state.batch.push(LogLine {
            account: self.account,
            region: self.region.clone(),
            group: Arc::clone(&self.group),
            stream: Arc::clone(&self.stream),
            at,
            text,
            hops: state.hops,
        });
        if state.batch.len() >= BATCH_LINES || state.batch_bytes >= BATCH_BYTES {
            self.hand_on(state);
        }
    }

    fn hand_on(&self, state: &mut State) {
        if !state.batch.is_empty() {
            state.batch_bytes = 0;
            self.sink.write(std::mem::take(&mut state.batch));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while holding it")
    }
}

/// As on Lambda: the day, the version, and 32 hexadecimal digits.
fn stream_name(now: Timestamp, version: &str, rng: &dyn Rng) -> String {
    let (year, month, day, ..) = now.civil();
    let mut raw = [0u8; 16];
    rng.fill(&mut raw);
    format!("{year:04}/{month:02}/{day:02}/[{version}]{:032x}", u128::from_le_bytes(raw))
}

/// What an environment's processes write, and the log it goes to.
pub(crate) struct Output {
    // Tells when there is something to read.
    ready: pipe::Receiver,
    // The same pipe, read directly: it knows what the event loop has not heard of yet.
    pipe: PipeReader,
    log: Arc<Log>,
    splitter: Mutex<Splitter>,
}

/// Whether more may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    Later,
    Now,
    Never,
}

impl Output {
    /// `pipe` must be the reading end of a pipe; it becomes non-blocking.
    pub(crate) fn new(pipe: OwnedFd, log: Arc<Log>) -> io::Result<Self> {
        let ready = pipe::Receiver::from_owned_fd(pipe.try_clone()?)?;
        Ok(Self { ready, pipe: PipeReader::from(pipe), log, splitter: Mutex::default() })
    }

    /// Reads what is in the pipe now, without waiting, and says whether more may come.
    pub(crate) fn drain(&self) -> More {
        let mut splitter = self.splitter.lock().expect("no code panics while holding it");
        let (mut pipe, mut buffer, mut read) = (&self.pipe, [0u8; READ_BYTES], 0);
        while read < DRAIN_BYTES {
            match pipe.read(&mut buffer) {
                Ok(0) => return More::Never,
                Ok(n) => {
                    read += n;
                    splitter.push(&buffer[..n], |line| self.log.say(line));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return More::Later,
                Err(_) => return More::Never,
            }
        }
        More::Now
    }

    /// Drains, and ends the line that is open: the invocation is over.
    pub(crate) fn drain_to_end(&self) {
        self.drain();
        self.splitter.lock().expect("no code panics while holding it").finish(|line| self.log.say(line));
    }

    /// Reads and hands on for as long as something writes. Runs beside the invocations, so that a full pipe never stops
    /// a function and a long invocation's log can be followed.
    pub(crate) async fn follow(&self) {
        while self.ready.readable().await.is_ok() {
            // Read inside, so that what arrives after the last read is not taken for read.
            let more = self.ready.try_io(|| match self.drain() {
                More::Later => Err(io::ErrorKind::WouldBlock.into()),
                more => Ok(more),
            });
            self.log.flush();
            match more {
                Ok(More::Never) => return,
                Ok(_) => tokio::task::yield_now().await,
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_named_as_on_lambda() {
        let name = stream_name(Timestamp(1_763_683_200_000), "$LATEST", &base::SystemRng);
        let (day, rest) = name.split_once("/[$LATEST]").unwrap();
        assert_eq!(day, "2025/11/21");
        assert!(rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()));
    }

    #[derive(Default)]
    struct Sink(Mutex<Vec<String>>);

    impl LogSink for Sink {
        fn write(&self, lines: Vec<LogLine>) {
            self.0.lock().unwrap().extend(lines.into_iter().map(|line| line.text));
        }
    }

    // The event loop gets no turn between the write and the read.
    #[tokio::test]
    async fn what_was_written_is_read_at_once() {
        use std::io::Write as _;
        let sink = Arc::new(Sink::default());
        let log = Arc::new(Log {
            account: Account::DEFAULT,
            region: Region::default_region(),
            group: "/aws/lambda/f".into(),
            stream: "s".into(),
            sink: Arc::clone(&sink) as Arc<dyn LogSink>,
            clocks: Arc::new(base::SystemClocks),
            state: Mutex::default(),
        });
        let (reader, mut writer) = io::pipe().unwrap();
        let output = Output::new(reader.into(), Arc::clone(&log)).unwrap();
        for i in 0..3 {
            write!(writer, "line {i}\nopen {i}").unwrap();
            output.drain_to_end();
        }
        log.flush();
        assert_eq!(*sink.0.lock().unwrap(), ["line 0", "open 0", "line 1", "open 1", "line 2", "open 2"]);
    }
}
