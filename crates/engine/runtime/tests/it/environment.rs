//! One function in one child process, without walls.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{Rng, SystemRng, Timestamp};
use bytes::Bytes;
use runtime::{Event, InitOutcome, Outcome, Piece, Session, Sink, SnapshotWanted};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Nothing here takes this long.
const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

/// A folder with the function's files, and one with the bootstraps.
pub(crate) struct Code {
    folder: tempfile::TempDir,
}

impl Code {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = files.iter().map(|(path, text)| (format!("task/{path}"), text.as_bytes()));
        let ours = runtime::bootstraps().iter().map(|(path, bytes)| (format!("lang/{path}"), *bytes));
        for (path, bytes) in files.chain(ours) {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn task(&self) -> PathBuf {
        self.folder.path().join("task")
    }

    pub(crate) fn bootstrap(&self, path: &str) -> PathBuf {
        self.folder.path().join("lang").join(path)
    }
}

pub(crate) struct Environment {
    pub(crate) session: Arc<Session>,
    child: Mutex<Child>,
    output: Mutex<std::io::PipeReader>,
    serving: JoinHandle<()>,
}

impl Environment {
    /// Starts `program` with only the variables a function has. One whose last argument is `ahead` gets them when it is
    /// ready.
    pub(crate) async fn start(code: &Code, program: &[&Path], handler: &str, more: &[(&str, &str)]) -> Self {
        Self::start_in(Session::new(), code, program, handler, more).await
    }

    /// The same, of a program that is to hand something in.
    pub(crate) async fn start_for(code: &Code, program: &[&Path], wanted: SnapshotWanted) -> Self {
        let session = Session::new();
        session.want_snapshot(wanted);
        Self::start_in(session, code, program, "", &[]).await
    }

    async fn start_in(
        session: Arc<Session>,
        code: &Code,
        program: &[&Path],
        handler: &str,
        more: &[(&str, &str)],
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (output, writer) = std::io::pipe().unwrap();
        let task = code.task();
        let own = [
            ("TZ", ":UTC"),
            ("LAMBDA_TASK_ROOT", task.to_str().unwrap()),
            ("_HANDLER", handler),
            ("AWS_LAMBDA_RUNTIME_API", &address),
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
            ("AWS_REGION", "us-east-1"),
        ];
        let own = || [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "en_US.UTF-8")].into_iter().chain(own);
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).env_clear().stdout(writer.try_clone().unwrap()).stderr(writer);
        let ahead = program.last() == Some(&Path::new("ahead"));
        let (child, line) = if ahead {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            let child =
                command.env("LANG", "en_US.UTF-8").current_dir("/").stdin(OwnedFd::from(theirs)).spawn().unwrap();
            drop(command);
            let mut words = vec![task.to_str().unwrap().to_owned()];
            words.extend(own().chain(more.iter().copied()).map(|(name, value)| format!("{name}={value}")));
            let mut words = words.iter().map(|word| format!("{word}\0")).collect::<String>();
            let keeps = tokio::task::block_in_place(|| {
                let mut said = [0; 64];
                let length = ours.read(&mut said).unwrap();
                assert!(length > 1);
                let keeps = said[..length].ends_with(b" keeps\n");
                words.extend(keeps.then_some('\0'));
                ours.write_all(words.as_bytes()).unwrap();
                keeps
            });
            (child, keeps.then_some(ours))
        } else {
            let child = command.envs(own().chain(more.iter().copied())).current_dir(&task).stdin(Stdio::null());
            (child.spawn().unwrap(), None)
        };
        let serving = tokio::spawn(Arc::clone(&session).serve(listener, line));
        Self { session, child: Mutex::new(child), output: Mutex::new(output), serving }
    }

    pub(crate) async fn initialised(&self) -> InitOutcome {
        timeout(PATIENCE, self.session.initialised()).await.expect("INIT ends")
    }

    /// INIT must fail: the error's type and object.
    pub(crate) async fn init_error(&self) -> (String, Value) {
        match self.initialised().await {
            InitOutcome::Failed { error_type, payload } => (error_type, json(&payload)),
            InitOutcome::Ready => panic!("INIT succeeded"),
        }
    }

    pub(crate) async fn invoke(&self, event: Event) -> Outcome {
        timeout(PATIENCE, self.session.invoke(event)).await.expect("it answers").expect("the environment lives")
    }

    /// Runs an event whose response is streamed: the content type, what came, and how it ended.
    pub(crate) async fn stream(&self, payload: &str) -> (Option<String>, String, Outcome) {
        let (sink, mut pieces) = Sink::new(Arc::new(base::SystemClocks));
        let given = Event { sink: Some(sink), ..event(payload) };
        let reading = async {
            let (mut kind, mut all) = (None, Vec::new());
            while let Some(piece) = pieces.recv().await {
                match piece {
                    Piece::Begun { content_type, streams } => {
                        assert!(streams);
                        kind = content_type;
                    }
                    Piece::Bytes(bytes) => all.extend_from_slice(&bytes),
                }
            }
            (kind, String::from_utf8(all).unwrap())
        };
        let (outcome, (kind, all)) = tokio::join!(self.invoke(given), reading);
        (kind, all, outcome)
    }

    /// The handler must answer: what.
    pub(crate) async fn answer(&self, payload: &str) -> Value {
        match self.invoke(event(payload)).await {
            Outcome::Response { payload } => json(&payload),
            Outcome::Error { payload, .. } => panic!("it raised {}", String::from_utf8_lossy(&payload)),
            Outcome::BrokenOff(why) => panic!("{why}"),
        }
    }

    /// The handler must raise: the error's type and object.
    pub(crate) async fn error(&self, payload: &str) -> (String, Value) {
        match self.invoke(event(payload)).await {
            Outcome::Error { error_type, payload } => (error_type, json(&payload)),
            Outcome::Response { payload } => panic!("it answered {}", String::from_utf8_lossy(&payload)),
            Outcome::BrokenOff(why) => panic!("{why}"),
        }
    }

    /// Waits for the process to end by itself; its status, and all it wrote that was not read before.
    pub(crate) async fn ended(self) -> (ExitStatus, String) {
        let end = async {
            loop {
                if let Some(status) = self.child.lock().unwrap().try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let status = timeout(PATIENCE, end).await.expect("the process ends");
        tokio::task::block_in_place(|| {
            let mut text = String::new();
            self.output.lock().unwrap().read_to_string(&mut text).unwrap();
            (status, text)
        })
    }

    /// What is in the pipe at this moment. At least one byte must be there.
    pub(crate) fn written(&self) -> String {
        let mut room = vec![0; 1 << 20];
        let read = self.output.lock().unwrap().read(&mut room).unwrap();
        String::from_utf8(room[..read].to_vec()).unwrap()
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.serving.abort();
        let child = self.child.get_mut().unwrap();
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

pub(crate) fn event(payload: &str) -> Event {
    Event {
        request_id: base::RequestId::new(&SystemRng as &dyn Rng),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        deadline: deadline(),
        function_arn: ARN.into(),
        trace: Some("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0".into()),
        client_context: None,
        sink: None,
    }
}

fn deadline() -> Timestamp {
    base::Clocks::signing(&base::SystemClocks).plus_ms(60_000)
}

pub(crate) fn json(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(payload)))
}
