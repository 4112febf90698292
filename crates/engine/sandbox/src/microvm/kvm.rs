//! Whether machines run on the host's processors or on emulated ones.

use std::path::Path;

use crate::helper::image::KVM;
use crate::survey::Mend;

/// Whether machines run on the host's processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kvm {
    /// The first launch finds out.
    Untried,
    /// They do, or are to by the user's word.
    On,
    /// Their processors are emulated.
    Off,
}

/// Decides it: `kvm` or `tcg`.
const ACCELERATION: &str = "LAMBENT_MICROVM_ACCELERATION";

impl Kvm {
    /// As far as can be told without booting a machine.
    ///
    /// # Errors
    /// The user's word is none that is known.
    pub(super) fn of_this_host() -> Result<Self, Mend> {
        match std::env::var_os(ACCELERATION) {
            Some(word) if word == "kvm" => Ok(Self::On),
            Some(word) if word == "tcg" => Ok(Self::Off),
            Some(word) => {
                let why = format!("{ACCELERATION} is `{}`", word.display());
                Err(Mend::new(why, "set it to `kvm` or `tcg`, or to nothing at all"))
            }
            None if Path::new(KVM).exists() => Ok(Self::Untried),
            None => Ok(Self::Off),
        }
    }

    /// In words for people, speed included.
    pub(super) fn words(self) -> String {
        let slow = "emulated processors: expect functions to be 10 to 50 times slower and to start in seconds";
        match self {
            Self::On => "KVM".to_owned(),
            Self::Untried => format!("KVM if the first launch shows that machines boot with it, otherwise {slow}"),
            Self::Off => format!("no KVM, {slow}"),
        }
    }

    /// How long a machine may take until its program runs, seconds.
    pub(super) fn boot_s(self) -> u16 {
        if self == Self::Off { 60 } else { 5 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_for_an_emulated_processor_is_told_so() {
        assert!(!Kvm::On.words().contains("slower"));
        assert!(Kvm::Untried.words().contains("slower") && Kvm::Off.words().contains("slower"));
        assert!(Kvm::Off.boot_s() > Kvm::On.boot_s());
    }
}
