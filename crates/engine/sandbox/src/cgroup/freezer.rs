//! Freezing: every process of a group stands still until it is thawed.
//!
//! Version 2 freezes with any group's own file. On a hybrid host the groups that limit are of version 1, so there is one
//! more beside them in the tree of version 2. It is *threaded*: a process with one thread joins it without the kernel's wait
//! for every fork on the machine, as through `tasks` on version 1. Where there is no tree of version 2, the controller
//! `freezer` of version 1 does it, slower, and what is killed there dies only once it is thawed.
//! Source: kernel documentation, cgroup-v2.rst ("Threads", `cgroup.freeze`) and freezer-subsystem.rst.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// How groups are frozen on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Freezer {
    /// By the file of the group that limits: version 2.
    Same,
    /// By a group in this folder of the version 2 tree of a hybrid host.
    Beside(PathBuf),
    /// By a group in this folder of version 1's own tree.
    One(PathBuf),
}

/// How one group is frozen, as it travels beside the descriptor of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interface {
    /// `cgroup.freeze`.
    Two,
    /// `freezer.state`.
    One,
}

impl Interface {
    /// Its number in a message; 0 is for none.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// The interface of this number.
    pub(crate) fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            _ => None,
        }
    }

    /// What is written to have all stand still, or go on.
    pub(crate) fn word(self, frozen: bool) -> &'static [u8] {
        match (self, frozen) {
            (Self::Two, true) => b"1",
            (Self::Two, false) => b"0",
            (Self::One, true) => b"FROZEN",
            (Self::One, false) => b"THAWED",
        }
    }

    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Two => "cgroup.freeze",
            Self::One => "freezer.state",
        }
    }
}

impl Freezer {
    /// The folder in which each sandbox has one more group, where it has.
    pub(super) fn tree(&self) -> Option<&Path> {
        match self {
            Self::Same => None,
            Self::Beside(folder) | Self::One(folder) => Some(folder),
        }
    }

    pub(super) fn interface(&self) -> Interface {
        match self {
            Self::Same | Self::Beside(_) => Interface::Two,
            Self::One(_) => Interface::One,
        }
    }

    /// How it is done, for people.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Same => "cgroup v2",
            Self::Beside(_) => "cgroup v2, beside the limits of v1",
            Self::One(_) => "cgroup v1",
        }
    }
}

/// What makes a group of version 2 threaded. One below another that is must be made so, too, before anybody joins it.
const TYPE: &str = "cgroup.type";

/// Makes a group threaded. What is in its parent stays as it is.
pub(super) fn make_threaded(folder: &Path) -> io::Result<()> {
    super::put(folder, TYPE, "threaded")
}

/// The file that freezes the group in this folder, for writing [`Interface::word`] into.
pub(super) fn open(folder: &Path, interface: Interface) -> io::Result<OwnedFd> {
    fs::OpenOptions::new().write(true).open(folder.join(interface.file())).map(OwnedFd::from)
}

/// Lets go on what was killed in a group that may be frozen. Of use on version 1 alone: there it dies only then.
pub(super) fn let_go(folder: &Path) {
    // ENOENT: not of version 1's tree.
    let _ = super::put(folder, Interface::One.file(), "THAWED");
}
