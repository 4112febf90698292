//! The monitors that can run a machine. Each is a program of the host, driven by its command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::guest::ROOT_TAG;
use super::relay::CONSOLE;

/// A machine to be run.
pub(super) struct Machine<'a> {
    /// The kernel's image.
    pub(super) kernel: &'a Path,
    /// Its first file system.
    pub(super) initramfs: &'a Path,
    /// Its memory, MiB.
    pub(super) memory_mb: u32,
    /// Its processors.
    pub(super) processors: u32,
    /// Whether the host's processors run it (KVM); they are emulated otherwise.
    pub(super) accelerated: bool,
    /// How fast the host's time stamp counter counts, for a machine that has no better clock.
    pub(super) tsc_khz: Option<u64>,
}

/// A monitor. It runs inside the walls of a sandbox whose root holds exactly the function's folders. What a machine must
/// find: that root as the read-only 9p share [`ROOT_TAG`], and one virtio serial port that is the monitor's stdin and
/// stdout. The machine's console goes to [`CONSOLE`]. No network, no disk.
pub(super) trait Monitor: Send + Sync {
    /// Its name and version, for people.
    fn name(&self) -> String;
    /// The program.
    fn program(&self) -> &Path;
    /// Its arguments for a machine.
    fn arguments(&self, machine: &Machine<'_>) -> Vec<OsString>;
    /// Memory of its own besides the machine's, MiB.
    fn overhead_mb(&self, machine_mb: u32) -> u32;
}

/// QEMU with its small `microvm` machine.
pub(super) struct Qemu {
    program: PathBuf,
    version: String,
}

const QEMU: &str = "qemu-system-x86_64";

/// Finds the monitor of this host.
///
/// # Errors
/// Why there is none.
pub(super) fn find() -> Result<Box<dyn Monitor>, String> {
    if !cfg!(target_arch = "x86_64") {
        return Err("microVMs are implemented for x86-64 only".to_owned());
    }
    // The folders that a sandbox shows: what lies elsewhere could not be run in there.
    let program = ["/usr/bin", "/usr/local/bin"].iter().map(|folder| Path::new(folder).join(QEMU)).find(|p| p.exists());
    let Some(program) = program else { return Err(format!("{QEMU} is not installed")) };
    let help = Command::new(&program).args(["-machine", "help"]).stdin(Stdio::null()).output();
    match help {
        Ok(output) if String::from_utf8_lossy(&output.stdout).lines().any(|line| line.starts_with("microvm")) => {}
        Ok(_) => return Err(format!("{} has no microvm machine", program.display())),
        Err(error) => return Err(format!("{}: {error}", program.display())),
    }
    let said = Command::new(&program).arg("--version").stdin(Stdio::null()).output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let version = said.split_whitespace().skip_while(|word| *word != "version").nth(1).unwrap_or("").to_owned();
    Ok(Box::new(Qemu { program, version }))
}

/// Memory for translated code, MiB.
const TRANSLATED_MB: u32 = 64;

impl Monitor for Qemu {
    fn name(&self) -> String {
        format!("QEMU {}", self.version)
    }

    fn program(&self) -> &Path {
        &self.program
    }

    fn arguments(&self, machine: &Machine<'_>) -> Vec<OsString> {
        let mut append = "console=ttyS0 quiet loglevel=4 reboot=t panic=-1 random.trust_cpu=on no_timer_check \
                          LD_LIBRARY_PATH=/lib"
            .to_owned();
        if let Some(khz) = machine.tsc_khz.filter(|_| !machine.accelerated) {
            // Otherwise the kernel compares two emulated clocks, and hangs where the host is busy meanwhile; or takes the
            // counter for unreliable, counts interrupts instead, and misses some.
            append.push_str(&format!(" tsc_early_khz={khz} tsc=reliable"));
        }
        let (accelerator, processor) = match machine.accelerated {
            true => ("kvm".to_owned(), "host"),
            false => (format!("tcg,thread=multi,tb-size={TRANSLATED_MB}"), "max"),
        };
        let texts = [
            "-machine",
            "microvm,acpi=on,rtc=on",
            "-accel",
            &accelerator,
            "-cpu",
            processor,
            "-smp",
            &machine.processors.to_string(),
            "-m",
            &machine.memory_mb.to_string(),
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
            // Everything it could need later it has by now: no new privileges, no other programs.
            "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            "-append",
            &append,
            "-chardev",
            &format!("file,id=console,path={CONSOLE}"),
            "-serial",
            "chardev:console",
            "-chardev",
            "stdio,id=channel,signal=off",
            "-device",
            "virtio-serial-device",
            "-device",
            "virtserialport,chardev=channel,nr=1",
            "-fsdev",
            "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
            "-device",
            &format!("virtio-9p-device,fsdev=root,mount_tag={ROOT_TAG}"),
        ];
        let mut arguments: Vec<OsString> = texts.iter().map(OsString::from).collect();
        for (name, file) in [("-kernel", machine.kernel), ("-initrd", machine.initramfs)] {
            arguments.push(name.into());
            arguments.push(file.into());
        }
        arguments
    }

    fn overhead_mb(&self, machine_mb: u32) -> u32 {
        // Its own code and heap, translated code, and tables by the machine's size.
        96 + TRANSLATED_MB + machine_mb / 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(accelerated: bool) -> String {
        let qemu = Qemu { program: "/usr/bin/qemu".into(), version: "7.2".to_owned() };
        let machine = Machine {
            kernel: Path::new("/k"),
            initramfs: Path::new("/i"),
            memory_mb: 300,
            processors: 2,
            accelerated,
            tsc_khz: Some(5),
        };
        qemu.arguments(&machine).join(&OsString::from(" ")).into_string().unwrap()
    }

    #[test]
    fn a_machine_has_no_network_no_disk_and_only_read_only_files() {
        for line in [line(true), line(false)] {
            assert!(line.contains("-nodefaults") && line.contains("-no-user-config") && line.contains("-sandbox on"));
            assert!(!line.contains("netdev") && !line.contains("-nic") && !line.contains("drive"), "{line}");
            assert!(line.contains("path=/,security_model=none,readonly=on"), "{line}");
            assert!(
                line.contains("-m 300 ") && line.contains("-smp 2 ") && line.contains("-kernel /k -initrd /i"),
                "{line}"
            );
        }
    }

    #[test]
    fn only_an_emulated_processor_is_told_how_fast_its_clock_is() {
        assert!(line(true).contains("-accel kvm -cpu host") && !line(true).contains("tsc_early_khz"));
        assert!(line(false).contains("-accel tcg,") && line(false).contains("tsc_early_khz=5"));
    }
}
