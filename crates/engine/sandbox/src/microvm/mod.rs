//! The microVM class: a function in a virtual machine with a kernel of its own, for who does not trust the host's kernel
//! with it.
//!
//! The machine stands inside an ordinary sandbox of this room. The sandbox's program is the relay, which is this binary; the
//! relay's child is the monitor, for example QEMU. So the monitor runs as the sandbox's uid, without capabilities, in its
//! namespaces and control groups, sees the function's folders and the system's libraries read-only and nothing else, and a
//! guest that breaks out of it stands before the walls of the process class. The guest's first process is this binary
//! too: it builds the same sandbox once more around the program, with the guest's kernel. All bytes go over one virtio
//! serial port (see [`mux`]), which needs nothing of the host's kernel; connections that the guest makes arrive in the
//! sandbox's network as if the program had made them there: at the Runtime API, the endpoint, and the way out.
//!
//! Where `/dev/kvm` is, the first launch tries whether machines boot with it, in five seconds; where not, processors are
//! emulated, which is slow and works everywhere.
//!
//! CPU time is what the monitor used, memory what the guest's kernel counted for the program.

mod control;
mod cpio;
mod frame;
pub(crate) mod guest;
mod kernel;
mod kvm;
mod monitor;
mod mux;
mod note;
pub(crate) mod relay;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::channel;
use crate::helper::image::KVM;
use crate::message::Message;
use crate::survey::{Mend, holds, missing};
use crate::sys;
use crate::walls::{Environment, Error, Image, Isolation, Limits, Mount, Spec, Wall};
use control::Reins;
use frame::Frame;
use kvm::Kvm;
use monitor::{Machine, Monitor};
use note::{Assignment, Note};

/// The class as a wall. No function that does not ask for it needs it.
const NAME: &str = "microVM class";

/// How to get what is missing.
const FIX: &str = "install QEMU and a kernel with 9p in its modules (Debian, Ubuntu: `sudo apt-get install --no-install-recommends \
     qemu-system-x86 linux-image-amd64`; Ubuntu: linux-image-generic, and `sudo chmod +r /boot/vmlinuz-*`), or name a folder \
     that has boot/ and lib/modules/ in LAMBENT_MICROVM_KERNEL";

/// Where the machine's parts lie inside the sandbox.
const PLACE: &str = "/run/lambent-microvm";

/// What a guest's kernel and first processes take besides the program, MiB; and a 32nd of the memory, for its tables.
const GUEST_MB: u32 = 192;

/// Threads and processes of the relay and the monitor, which serves files from up to 64 threads.
const HOST_PIDS: u32 = 192;

/// Most processors of a machine, as many as the largest function's share needs.
const MOST_PROCESSORS: u32 = 6;

/// How long the relay may take to call; it is an ordinary program in a sandbox.
const CALL_WAIT: Duration = Duration::from_secs(10);

/// Most characters of what a guest says that become part of a message: more than the relay's own words.
const MOST_WORDS: usize = 2000;

/// What every machine of this host is made of.
struct Parts {
    monitor: Box<dyn Monitor>,
    kernel: PathBuf,
    initramfs: PathBuf,
    /// The program that is relay and guest.
    program: PathBuf,
    tsc_khz: Option<u64>,
    kvm: Mutex<Kvm>,
}

impl Parts {
    fn kvm(&self) -> MutexGuard<'_, Kvm> {
        self.kvm.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an attempt failed.
enum Failed {
    /// For a reason that another attempt would meet again.
    Finally(Error),
    /// The machine did not come so far as to start the program.
    Boot(String),
}

/// Whether functions may ask for the microVM class on this host, with what, and what speed to expect. Looks at the
/// monitor's own answers and a kernel's modules, which takes 100 ms: for people who ask, not for a start.
pub fn survey_microvm() -> Wall {
    match find() {
        Ok((monitor, kernel, kvm)) => {
            let image = kernel.image.file_name().unwrap_or_default().display().to_string();
            holds(NAME, format!("{}, {image}, {}", monitor.name(), kvm.words()))
        }
        Err(Mend { why, fix }) => missing(NAME, why, fix),
    }
}

/// What a machine is made of on this host, or what is missing.
fn find() -> Result<(Box<dyn Monitor>, kernel::Kernel, Kvm), Mend> {
    let install = |why| Mend::new(why, FIX);
    let root = std::env::var_os(kernel::VARIABLE).map_or_else(|| PathBuf::from("/"), PathBuf::from);
    Ok((monitor::find().map_err(install)?, kernel::find(&root).map_err(install)?, Kvm::of_this_host()?))
}

/// The machines of one platform.
pub(crate) struct MicroVms {
    run_dir: PathBuf,
    program: Option<PathBuf>,
    /// Made at the first launch: most platforms never need it.
    parts: Mutex<Option<Arc<Parts>>>,
}

impl MicroVms {
    pub(crate) fn new(run_dir: &Path, program: Option<&Path>) -> Self {
        Self { run_dir: run_dir.join("microvm"), program: program.map(Path::to_owned), parts: Mutex::default() }
    }

    fn parts(&self) -> Result<Arc<Parts>, Error> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parts) = &*parts {
            return Ok(Arc::clone(parts));
        }
        let made = self.make_parts().map_err(|Mend { why, fix }| Error::Unavailable { why, fix })?;
        let made = Arc::new(made);
        *parts = Some(Arc::clone(&made));
        Ok(made)
    }

    fn make_parts(&self) -> Result<Parts, Mend> {
        let (monitor, found, kvm) = find()?;
        let files = |error: std::io::Error| {
            Mend::new(
                format!("a machine's files cannot be made: {error}"),
                "make the data folder writable, with 100 MB free",
            )
        };
        let program = self.program.clone().map_or_else(std::env::current_exe, Ok).map_err(files)?;
        let prepare = || {
            fs::create_dir_all(&self.run_dir)?;
            // A copy, since the host's may be for root's eyes only, and may be replaced.
            let kernel = self.put("kernel", |to| fs::copy(&found.image, to).map(drop))?;
            let initramfs = self.put("initramfs", |to| kernel::write_initramfs(to, &program, &found))?;
            std::io::Result::Ok((kernel, initramfs))
        };
        let (kernel, initramfs) = prepare().map_err(files)?;
        Ok(Parts { monitor, kernel, initramfs, program, tsc_khz: sys::tsc_khz(), kvm: Mutex::new(kvm) })
    }

    /// Writes a file that machines may have open already, and that every sandbox may read.
    fn put(&self, name: &str, write: impl FnOnce(&Path) -> std::io::Result<()>) -> std::io::Result<PathBuf> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let draft =
            self.run_dir.join(format!("{name}.{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let to = self.run_dir.join(name);
        let written = write(&draft)
            .and_then(|()| fs::set_permissions(&draft, fs::Permissions::from_mode(0o644)))
            .and_then(|()| fs::rename(&draft, &to));
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        written.map(|()| to)
    }

    /// Makes a machine. `build` makes an ordinary sandbox.
    ///
    /// # Errors
    /// Those of a sandbox; [`Error::Unavailable`] when machines cannot be had on this host.
    pub(crate) async fn launch<F>(self: &Arc<Self>, spec: Spec, build: impl Fn(Spec) -> F) -> Result<Environment, Error>
    where
        F: Future<Output = Result<Environment, Error>>,
    {
        let this = Arc::clone(self);
        let parts = tokio::task::spawn_blocking(move || this.parts()).await.map_err(|_| Error::HelperLost)??;
        let kvm = *parts.kvm();
        match (attempt(&parts, spec.clone(), kvm, &build).await, kvm) {
            (Err(Failed::Boot(why)), Kvm::Untried) => {
                tracing::warn!(
                    why,
                    "microVMs do not boot with KVM on this host; their processors are emulated from now on"
                );
                *parts.kvm() = Kvm::Off;
            }
            (Err(Failed::Boot(why)), _) => return Err(does_not_boot(&why)),
            (Err(Failed::Finally(error)), _) => return Err(error),
            (Ok(environment), Kvm::Untried) => {
                *parts.kvm() = Kvm::On;
                return Ok(environment);
            }
            (Ok(environment), _) => return Ok(environment),
        }
        attempt(&parts, spec, Kvm::Off, &build).await.map_err(|failed| match failed {
            Failed::Finally(error) => error,
            Failed::Boot(why) => does_not_boot(&why),
        })
    }
}

fn does_not_boot(why: &str) -> Error {
    let fix = "see whether `lambent doctor` names another monitor or kernel than you mean, give the function more memory, or \
               emulate processors with LAMBENT_MICROVM_ACCELERATION=tcg";
    Error::Unavailable { why: format!("the microVM did not start: {why}"), fix: fix.to_owned() }
}

async fn attempt<F>(parts: &Parts, spec: Spec, kvm: Kvm, build: &impl Fn(Spec) -> F) -> Result<Environment, Failed>
where
    F: Future<Output = Result<Environment, Error>>,
{
    let assignment = Frame::Note(assignment(&spec).encode()).encode();
    if assignment.len() > channel::MAX_BYTES {
        let why = format!("arguments and environment are over {} bytes", channel::MAX_BYTES);
        return Err(Failed::Finally(Error::Spec(why)));
    }
    let most_bytes = u64::from(spec.limits.memory_mb) << 20;
    let mut environment = build(outer(parts, spec, kvm)).await.map_err(Failed::Finally)?;
    let lost = |why: &str| Failed::Boot(why.to_owned());
    let listener = environment.listeners.pop().ok_or_else(|| lost("its relay has no listener"))?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| lost(&error.to_string()))?;
    let call = timeout(CALL_WAIT, listener.accept()).await;
    let Ok(Ok((mut relay, _))) = call else { return Err(lost("its relay did not call")) };
    drop(listener);
    let boot = Duration::from_secs(kvm.boot_s().into()) + CALL_WAIT;
    let told = timeout(boot, async {
        relay.write_all(&assignment).await?;
        hear(&mut relay).await
    });
    match told.await {
        Ok(Ok(Some(Note::Started))) => {}
        Ok(Ok(Some(Note::Program(why)))) => return Err(Failed::Finally(Error::Program(cut(why)))),
        Ok(Ok(Some(Note::Failed(why)))) => return Err(Failed::Boot(cut(why))),
        Ok(_) => return Err(lost("it ended before its program started")),
        Err(_) => return Err(lost("it did not start in time")),
    }
    let control = Reins::new(environment.control, relay, most_bytes);
    Ok(Environment { control: Box::new(control), ..environment })
}

/// The words of a guest, which may be anybody's, no longer than a message should be.
fn cut(words: String) -> String {
    words.chars().take(MOST_WORDS).collect()
}

/// The next news of a machine. `None` when there are no more.
async fn hear(relay: &mut TcpStream) -> std::io::Result<Option<Note>> {
    match Frame::read(relay).await? {
        Some(Frame::Note(bytes)) => Note::decode(&bytes).map(Some).map_err(|_| std::io::ErrorKind::InvalidData.into()),
        Some(_) => Err(std::io::ErrorKind::InvalidData.into()),
        None => Ok(None),
    }
}

fn assignment(spec: &Spec) -> Assignment {
    Assignment {
        // The relay's to fill in, when the machine is up.
        clock_ns: 0,
        layers: !spec.image.layers.is_empty(),
        runtime: spec.image.runtime.iter().map(|mount| mount.target.as_os_str().as_bytes().to_vec()).collect(),
        program: crate::linux::program(spec),
    }
}

/// The sandbox around the machine.
fn outer(parts: &Parts, spec: Spec, kvm: Kvm) -> Spec {
    let place = |name: &str| Path::new(PLACE).join(name);
    let (program, kernel, initramfs) = (place("lambent"), place("kernel"), place("initramfs"));
    let limits = spec.limits;
    let memory_mb = limits.memory_mb + GUEST_MB + limits.memory_mb / 32;
    let processors = limits.cpu_millis.map_or(2, |millis| millis.div_ceil(1000)).clamp(1, MOST_PROCESSORS);
    let machine = Machine {
        kernel: &kernel,
        initramfs: &initramfs,
        memory_mb,
        processors,
        accelerated: kvm != Kvm::Off,
        tsc_khz: parts.tsc_khz,
    };
    // A port that the function has not asked for, so that nothing of the guest is ever sent there by itself.
    let port = (1..=u16::MAX).rev().find(|port| !spec.ports.contains(port)).unwrap_or(u16::MAX);
    let mut argv = vec![
        program.clone().into_os_string(),
        relay::MARKER.into(),
        port.to_string().into(),
        kvm.boot_s().to_string().into(),
        parts.monitor.program().into(),
    ];
    argv.extend(parts.monitor.arguments(&machine));
    let mut runtime = spec.image.runtime;
    for (source, target) in [(&parts.program, program), (&parts.kernel, kernel), (&parts.initramfs, initramfs)] {
        runtime.push(Mount { source: source.clone(), target });
    }
    if kvm != Kvm::Off {
        runtime.push(Mount { source: KVM.into(), target: KVM.into() });
    }
    let mut ports = spec.ports;
    ports.push(port);
    Spec {
        image: Image { runtime, ..spec.image },
        argv,
        env: Vec::new(),
        cwd: "/".into(),
        ahead: None,
        limits: Limits {
            memory_mb: memory_mb + parts.monitor.overhead_mb(memory_mb),
            pids: HOST_PIDS,
            tmp_mb: 16,
            files: limits.files.max(4096),
            ..limits
        },
        isolation: Isolation::Process,
        ports,
        ..spec
    }
}
