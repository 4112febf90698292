//! The reins of a machine: those of the sandbox it stands in, and what the guest tells of the program.

use std::sync::Arc;

use base::BoxFuture;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::note::Note;
use crate::walls::{Control, Exit, ExitCause, Usage};

/// What the guest has told so far.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    usage: Usage,
    ended: Option<ExitCause>,
    /// Nothing more will come.
    over: bool,
}

impl Told {
    /// CPU time is the monitor's, memory the guest's: the program's own, which the monitor's is not.
    fn onto(self, outer: Usage) -> Usage {
        let peak_memory_bytes = match self.usage.peak_memory_bytes {
            0 => outer.peak_memory_bytes,
            peak => peak,
        };
        Usage { peak_memory_bytes, oom_kills: outer.oom_kills.max(self.usage.oom_kills), ..outer }
    }

    /// `most_bytes` is the program's limit, above which no word of a guest is believed.
    fn hear(&mut self, note: Note, most_bytes: u64) {
        let sound = |usage: Usage| Usage { peak_memory_bytes: usage.peak_memory_bytes.min(most_bytes), ..usage };
        match note {
            Note::Used(usage) => self.usage = sound(usage),
            Note::Ended { cause, usage } => {
                self.usage = sound(usage);
                self.ended = Some(cause);
            }
            Note::Up | Note::Started | Note::Program(_) | Note::Failed(_) => {}
        }
    }
}

/// See the module.
pub(super) struct Reins {
    outer: Arc<dyn Control>,
    told: watch::Receiver<Told>,
}

impl Reins {
    /// Follows what the guest tells from now on, of a program that may have `most_bytes` of memory.
    pub(super) fn new(outer: Box<dyn Control>, mut relay: TcpStream, most_bytes: u64) -> Self {
        let (tell, told) = watch::channel(Told::default());
        tokio::spawn(async move {
            while let Ok(Some(note)) = super::hear(&mut relay).await {
                tell.send_modify(|told| told.hear(note, most_bytes));
            }
            tell.send_modify(|told| told.over = true);
        });
        Self { outer: Arc::from(outer), told }
    }
}

impl Control for Reins {
    fn usage(&self) -> Usage {
        self.told.borrow().onto(self.outer.usage())
    }

    /// The machine's: what its memory takes here.
    fn private_memory(&self) -> u64 {
        self.outer.private_memory()
    }

    fn set_cpu(&self, cpu_millis: Option<u32>) {
        self.outer.set_cpu(cpu_millis);
    }

    /// The whole machine stands still.
    fn freeze(&self) -> bool {
        self.outer.freeze()
    }

    fn thaw(&self) {
        self.outer.thaw();
    }

    fn kill(&self) {
        self.outer.kill();
    }

    fn exited(&self) -> BoxFuture<'static, Exit> {
        let (outer, mut told) = (self.outer.exited(), self.told.clone());
        Box::pin(async move {
            let exit = outer.await;
            // The relay is dead and its last words are on their way.
            let told = told.wait_for(|told| told.over).await.map(|told| *told).unwrap_or_default();
            Exit { cause: cause(exit.cause, told.ended), usage: told.onto(exit.usage) }
        })
    }
}

/// Why a program ended whose machine ended so. A relay that ends by itself has heard of the program's end, or says why
/// not in the log.
fn cause(outer: ExitCause, ended: Option<ExitCause>) -> ExitCause {
    match (outer, ended) {
        (ExitCause::Exited(0), Some(ended)) => ended,
        (outer, _) => outer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_s_end_counts_only_when_the_machine_ended_for_it() {
        let program = Some(ExitCause::Exited(3));
        assert_eq!(cause(ExitCause::Exited(0), program), ExitCause::Exited(3));
        assert_eq!(cause(ExitCause::Killed, program), ExitCause::Killed);
        assert_eq!(cause(ExitCause::HelperLost, None), ExitCause::HelperLost);
        assert_eq!(cause(ExitCause::Exited(1), None), ExitCause::Exited(1));
    }

    #[test]
    fn memory_is_the_program_s_and_cpu_the_machine_s() {
        let outer = Usage { cpu_user_us: 5, cpu_system_us: 6, peak_memory_bytes: 500, oom_kills: 0 };
        let mut told = Told::default();
        assert_eq!(told.onto(outer), outer);
        let inner = Usage { cpu_user_us: 1, cpu_system_us: 1, peak_memory_bytes: 50, oom_kills: 1 };
        told.hear(Note::Used(inner), 128);
        assert_eq!(told.onto(outer), Usage { peak_memory_bytes: 50, oom_kills: 1, ..outer });
        told.hear(Note::Used(Usage { peak_memory_bytes: u64::MAX, ..inner }), 128);
        assert_eq!(told.onto(outer).peak_memory_bytes, 128);
    }
}
