//! What a machine tells of itself, and what it is told to become.

use crate::message::{Malformed, Message, Program, Reader, Writer};
use crate::walls::{ExitCause, Usage};

/// A machine's news, from its first process by way of the relay to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    /// The machine is up and waits for its assignment.
    Up,
    /// The program runs.
    Started,
    /// The program cannot be started; the words name it.
    Program(String),
    /// The machine cannot be had, or cannot go on.
    Failed(String),
    /// What the program has used, as the machine's own kernel counts it.
    Used(Usage),
    /// The program has ended.
    Ended {
        /// Why.
        cause: ExitCause,
        /// The last count.
        usage: Usage,
    },
}

impl Message for Note {
    fn write(&self, w: Writer) -> Writer {
        match self {
            Self::Started => w.u8(1),
            Self::Program(why) => w.u8(2).bytes(why.as_bytes()),
            Self::Failed(why) => w.u8(3).bytes(why.as_bytes()),
            Self::Used(usage) => usage.write(w.u8(4)),
            Self::Ended { cause, usage } => usage.write(cause.write(w.u8(5))),
            Self::Up => w.u8(6),
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match r.u8()? {
            1 => Self::Started,
            2 => Self::Program(r.text()?),
            3 => Self::Failed(r.text()?),
            4 => Self::Used(Usage::read(r)?),
            5 => Self::Ended { cause: ExitCause::read(r)?, usage: Usage::read(r)? },
            6 => Self::Up,
            _ => return Err(Malformed),
        })
    }
}

/// The function a machine is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The time when it is handed over, nanoseconds since 1970: the machine's own clock is right to the second only.
    pub(super) clock_ns: u64,
    /// Whether there are layers; they lie at `/opt`.
    pub(super) layers: bool,
    /// Where the runtime's folders lie; they keep their places.
    pub(super) runtime: Vec<Vec<u8>>,
    /// The program and its limits.
    pub(super) program: Program,
}

impl Message for Assignment {
    fn write(&self, w: Writer) -> Writer {
        self.program.write(w.u64(self.clock_ns).u8(u8::from(self.layers)).list(&self.runtime))
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (clock_ns, layers) = (r.u64()?, r.u8()? != 0);
        Ok(Self { clock_ns, layers, runtime: r.list()?, program: Program::read(r)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walls::Limits;

    #[test]
    fn notes_and_assignments_are_read_back() {
        let usage = Usage { cpu_user_us: 1, cpu_system_us: 2, peak_memory_bytes: 3, oom_kills: 4 };
        for note in [
            Note::Up,
            Note::Started,
            Note::Program("p".into()),
            Note::Failed("f".into()),
            Note::Used(usage),
            Note::Ended { cause: ExitCause::OutOfMemory, usage },
        ] {
            assert_eq!(Note::decode(&note.encode()), Ok(note));
        }
        let limits = Limits { memory_mb: 128, cpu_millis: None, pids: 9, tmp_mb: 512, files: 64 };
        let program = Program {
            limits,
            argv: vec![b"a".to_vec()],
            env: vec![],
            cwd: b"/".to_vec(),
            ports: vec![9001],
            serves: false,
        };
        let assignment = Assignment { clock_ns: u64::MAX, layers: true, runtime: vec![b"/r".to_vec()], program };
        assert_eq!(Assignment::decode(&assignment.encode()), Ok(assignment));
    }
}
