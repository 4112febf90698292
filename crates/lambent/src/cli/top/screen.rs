//! The terminal while a table lives in it: taken over, and given back as it was.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::Context;
use crossterm::terminal;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};

/// `O_NONBLOCK` on every architecture that Lambent runs on. Source: Linux, `include/uapi/asm-generic/fcntl.h`.
const NON_BLOCKING: i32 = 0o4000;
/// What Ctrl-C sends to who reads keys one by one.
const CTRL_C: u8 = 3;
/// The second screen, without a cursor, and lines that end at the border. Source: XTerm control sequences, DECSET.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l";
/// All back.
const LEAVE: &[u8] = b"\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Gives the terminal back when it is dropped.
pub(super) struct Screen(());

impl Screen {
    /// Takes it over.
    pub(super) fn open() -> anyhow::Result<Self> {
        terminal::enable_raw_mode().context("the terminal cannot be read key by key: use --once")?;
        let screen = Self(());
        io::stdout().write_all(ENTER)?;
        Ok(screen)
    }

    /// Shows the lines from the top, as far as there is room.
    pub(super) fn draw(&self, lines: &[String]) -> anyhow::Result<()> {
        let (_, height) = terminal::size()?;
        let mut text = String::from("\x1b[H");
        for (at, line) in lines.iter().take(usize::from(height)).enumerate() {
            text += if at > 0 { "\r\n" } else { "" };
            text += line;
            // What was there before is wiped from here to the border.
            text += "\x1b[K";
        }
        text += "\x1b[J";
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// How many lines there is room for.
    pub(super) fn height(&self) -> anyhow::Result<usize> {
        Ok(usize::from(terminal::size()?.1))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = io::stdout().lock();
        // A terminal that is gone has nothing to give back.
        let _ = out.write_all(LEAVE).and_then(|()| out.flush());
        let _ = terminal::disable_raw_mode();
    }
}

/// Waits for q, Ctrl-C, or a signal that asks for an end.
pub(super) async fn quit() -> anyhow::Result<()> {
    let mut signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(interrupt), Ok(terminate), Ok(hangup)] = &mut signals else {
        anyhow::bail!("signals cannot be heard");
    };
    let keys = OpenOptions::new().read(true).custom_flags(NON_BLOCKING).open("/dev/tty");
    // No pipe, but read as one.
    let keys = keys.and_then(pipe::Receiver::from_file_unchecked);
    let mut keys = keys.context("there is no terminal to read keys from: use --once")?;
    let mut bytes = [0; 256];
    loop {
        let read = tokio::select! {
            read = keys.read(&mut bytes) => read?,
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
        };
        if read == 0 || bytes[..read].iter().any(|byte| matches!(*byte, b'q' | b'Q' | CTRL_C)) {
            return Ok(());
        }
    }
}
