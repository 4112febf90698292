//! The first process of a machine. It makes the host's folders its root, builds the walls of an ordinary sandbox around
//! the program (so that what a function may do is the same in both classes), and hands everything the sandbox has, its
//! listeners, its output and its way out, over the machine's one byte channel to the relay.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::mount::{MountFlags, mount, mount_move};
use tokio::net::unix::pipe;

use super::frame::Frame;
use super::mux::{self, Mux, Sender};
use super::note::{Assignment, Note};
use crate::linux::{Linux, Options};
use crate::message::Message;
use crate::sys;
use crate::walls::{Control, Environment, Error, Exit, Image, Isolation, Mount, Spec, Usage, Walls};

/// The names of the modules to load, one a line, in this order.
pub(super) const MODULES: &str = "/modules/order";
/// What the monitor calls the share of the host's folders.
pub(super) const ROOT_TAG: &str = "root";
/// The machine's end of the byte channel.
const CHANNEL: &str = "/dev/vport0p1";
/// Turns of a millisecond that the channel's device may take to appear.
const PATIENCE: u32 = 5000;
/// A folder of the machine's own.
const OWN: &str = "/run/lambent-guest";
/// Most bytes of output in one frame.
const CHUNK: usize = 32 * 1024;

/// Whether this process was started as the first one of a machine of ours.
pub(crate) fn is_guest() -> bool {
    std::process::id() == 1
        && std::env::args_os().next().is_some_and(|name| name == "/init")
        && Path::new(MODULES).exists()
}

/// Lives the machine's life. Returns only to say that it could not.
pub(crate) fn main() -> i32 {
    if let Err(error) = live() {
        say(&format!("lambent: {error}\n"));
    }
    1
}

/// To the machine's console, which the relay reads when the machine does not start.
fn say(text: &str) {
    let _ = io::Write::write_all(&mut io::stderr(), text.as_bytes());
}

fn live() -> io::Result<()> {
    mount_kernel_s()?;
    load_modules()?;
    let channel = open_channel()?;
    enter_root()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(channel))
}

fn named(what: &'static str) -> impl Fn(rustix::io::Errno) -> io::Error {
    move |error| io::Error::new(io::Error::from(error).kind(), format!("{what}: {error}"))
}

fn mount_kernel_s() -> io::Result<()> {
    for (name, place) in [("devtmpfs", "/dev"), ("proc", "/proc")] {
        match fs::create_dir(place) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        mount(name, place, name, MountFlags::NOSUID, None).map_err(named(name))?;
    }
    Ok(())
}

fn load_modules() -> io::Result<()> {
    let folder = Path::new(MODULES).parent().unwrap_or(Path::new("/"));
    for name in fs::read_to_string(MODULES)?.lines() {
        let file = fs::File::open(folder.join(name))?;
        let done = if name.ends_with(".ko") {
            rustix::system::finit_module(&file, c"", 0)
        } else {
            // The kernel unpacks it, where it was built to.
            rustix::system::finit_module(&file, c"", COMPRESSED)
        };
        match done {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            // What the machine cannot do without shows at once in the next step.
            Err(error) => say(&format!("lambent: module {name}: {error}\n")),
        }
    }
    // The memory they took is the function's.
    let _ = fs::remove_dir_all(folder);
    Ok(())
}

/// `MODULE_INIT_COMPRESSED_FILE`.
const COMPRESSED: i32 = 4;

fn open_channel() -> io::Result<fs::File> {
    let open = || OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(CHANNEL);
    for _ in 0..PATIENCE {
        match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => sys::pause_ms(1),
            other => return other,
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("{CHANNEL} did not appear")))
}

/// Makes the host's folders the root, with what a kernel offers on top of them.
fn enter_root() -> io::Result<()> {
    let private = MountFlags::NOSUID | MountFlags::NODEV;
    fs::create_dir_all("/new")?;
    let options = c"trans=virtio,version=9p2000.L,cache=loose,msize=262144";
    mount(ROOT_TAG, "/new", "9p", MountFlags::RDONLY | private, options).map_err(named("mount the host's folders"))?;
    mount_move("/dev", "/new/dev").map_err(named("move /dev"))?;
    mount_move("/proc", "/new/proc").map_err(named("move /proc"))?;
    for place in ["/new/tmp", "/new/run"] {
        mount("tmpfs", place, "tmpfs", private, c"mode=755").map_err(named("mount a tmpfs"))?;
    }
    mount("sysfs", "/new/sys", "sysfs", private, None).map_err(named("mount /sys"))?;
    mount("cgroup2", "/new/sys/fs/cgroup", "cgroup2", private, None).map_err(named("mount control groups"))?;
    rustix::process::chdir("/new")?;
    mount_move(".", "/").map_err(named("move the root"))?;
    rustix::process::chroot(".")?;
    rustix::process::chdir("/")?;
    // Memory is promised as on the host, and a program that takes too much ends as it does there.
    fs::write("/proc/sys/vm/overcommit_memory", "1")?;
    fs::create_dir(OWN)
}

async fn serve(channel: fs::File) -> io::Result<()> {
    // To the poller a device with two ways is like two pipes; each way wants a descriptor of its own.
    let mut from = pipe::Receiver::from_file_unchecked(channel.try_clone()?)?;
    let sender = mux::writer(pipe::Sender::from_file_unchecked(channel)?);
    let note = |note: Note| sender.send(Frame::Note(note.encode()));
    let _ = note(Note::Up).await;
    let Some(Frame::Note(bytes)) = Frame::read(&mut from).await? else {
        return Err(io::Error::other("no assignment came"));
    };
    let assignment = Assignment::decode(&bytes).map_err(|_| io::Error::other("the assignment is malformed"))?;
    let (walls, environment) = match launch(assignment).await {
        Ok(launched) => launched,
        Err(error) => {
            let told = match error {
                Error::Program(why) => Note::Program(why),
                other => Note::Failed(other.to_string()),
            };
            let _ = note(told).await;
            return forever().await;
        }
    };
    let (ports, environment) = environment;
    let output = pipe::Receiver::from_owned_fd(environment.output)?;
    let output = Arc::new(Output { pipe: output, turn: tokio::sync::Mutex::default() });
    let control: Arc<dyn Control> = Arc::from(environment.control);
    let before = before(&sender, &output, &control);
    let mux = Mux::new(sender.clone(), Some(before));
    let _ = note(Note::Started).await;
    for (port, listener) in ports.into_iter().zip(environment.listeners) {
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        tokio::spawn(accept(Arc::clone(&mux), listener, move |_| Some(to)));
    }
    let askers = environment.uplink.map(|uplink| outward(&mux, uplink)).transpose()?;
    let following = Arc::clone(&output);
    let follow_to = sender.clone();
    tokio::spawn(async move { following.follow(&follow_to).await });
    let mut exited = control.exited();
    let (frames, mut arrived) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok(Some(frame)) = Frame::read(&mut from).await {
            if frames.send(frame).await.is_err() {
                return;
            }
        }
    });
    loop {
        tokio::select! {
            Exit { cause, usage } = &mut exited => {
                output.drain(&sender).await;
                let _ = note(Note::Ended { cause, usage }).await;
                drop(walls);
                return forever().await;
            }
            frame = arrived.recv() => match (frame, &askers) {
                (Some(Frame::Datagram { query, bytes }), Some(askers)) => askers.answer(query, &bytes),
                (Some(frame), _) => mux.take(frame),
                // The monitor is gone, and the machine with it.
                (None, _) => return forever().await,
            }
        }
    }
}

/// The relay ends the machine when it has heard everything.
async fn forever() -> io::Result<()> {
    std::future::pending().await
}

/// Builds the sandbox of the assignment. Answers its walls, its ports and itself.
async fn launch(assignment: Assignment) -> Result<(Arc<Linux>, (Vec<u16>, Environment)), Error> {
    let seconds = (assignment.clock_ns / 1_000_000_000) as i64;
    let time = rustix::time::Timespec {
        tv_sec: seconds,
        tv_nsec: (assignment.clock_ns % 1_000_000_000) as rustix::time::Nsecs,
    };
    // A machine without the right time still works; signatures made in it may not.
    let _ = rustix::time::clock_settime(rustix::time::ClockId::Realtime, time);
    let mut options = Options::new(OWN);
    options.prepared = 0;
    // The share is the machine's own: its processors run in a group of the host.
    options.cpu_limit = false;
    let walls = Linux::start(options)?;
    let spec = spec(assignment);
    let ports = spec.ports.clone();
    let environment = walls.launch(spec).await?;
    Ok((walls, (ports, environment)))
}

fn spec(assignment: Assignment) -> Spec {
    let Assignment { layers, runtime, program, .. } = assignment;
    let path = |bytes: Vec<u8>| PathBuf::from(OsString::from_vec(bytes));
    let variable = |mut pair: Vec<u8>| {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let value = if at < pair.len() { pair.split_off(at + 1) } else { Vec::new() };
        pair.truncate(at);
        (OsString::from_vec(pair), OsString::from_vec(value))
    };
    let same = |target: Vec<u8>| {
        let target = path(target);
        Mount { source: target.clone(), target }
    };
    Spec {
        id: base::EnvironmentId(1),
        tenant: "guest".to_owned(),
        image: Image {
            task: "/var/task".into(),
            layers: layers.then(|| "/opt".into()).into_iter().collect(),
            runtime: runtime.into_iter().map(same).collect(),
            snapshot: None,
            bytecode: Vec::new(),
        },
        argv: program.argv.into_iter().map(OsString::from_vec).collect(),
        env: program.env.into_iter().map(variable).collect(),
        cwd: path(program.cwd),
        ahead: None,
        limits: program.limits,
        isolation: Isolation::Process,
        ports: program.ports,
        serves: None,
    }
}

/// What must be seen before bytes of a connection: the output written so far, and a memory peak that has grown.
fn before(sender: &Sender, output: &Arc<Output>, control: &Arc<dyn Control>) -> mux::Before {
    let (sender, output, control) = (sender.clone(), Arc::clone(output), Arc::clone(control));
    let last = Arc::new(Mutex::new(Usage::default()));
    Box::new(move || {
        let (sender, output, control, last) =
            (sender.clone(), Arc::clone(&output), Arc::clone(&control), Arc::clone(&last));
        Box::pin(async move {
            output.drain(&sender).await;
            let now = control.usage();
            let before = std::mem::replace(&mut *last.lock().unwrap_or_else(PoisonError::into_inner), now);
            if now.peak_memory_bytes > before.peak_memory_bytes || now.oom_kills > before.oom_kills {
                let _ = sender.send(Frame::Note(Note::Used(now).encode())).await;
            }
        })
    })
}

/// The sandbox's output.
struct Output {
    pipe: pipe::Receiver,
    /// Held while bytes are read and sent, so that they keep their order.
    turn: tokio::sync::Mutex<()>,
}

impl Output {
    /// Sends everything that is there now. Answers whether the program's end of it is closed.
    async fn drain(&self, to: &Sender) -> bool {
        let _turn = self.turn.lock().await;
        let mut buffer = vec![0; CHUNK];
        loop {
            // Asked past the runtime, which may not have heard yet that bytes are there; then with it, so that it looks again.
            let read = rustix::io::read(self.pipe.as_fd(), &mut buffer).map_err(io::Error::from);
            let read = match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.pipe.try_read(&mut buffer),
                other => other,
            };
            match read {
                Ok(0) => return true,
                Ok(len) => drop(to.send(Frame::Output(buffer[..len].to_vec())).await),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
    }

    async fn follow(&self, to: &Sender) {
        while self.pipe.readable().await.is_ok() {
            if self.drain(to).await {
                return;
            }
        }
    }
}

/// Accepts for ever. `destination` says where a connection is to go; what has no destination is closed.
async fn accept(
    mux: Arc<Mux>,
    listener: TcpListener,
    destination: impl Fn(&tokio::net::TcpStream) -> Option<SocketAddrV4>,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                if let Some(to) = destination(&socket) {
                    tokio::spawn(Arc::clone(&mux).open(to, socket));
                }
            }
            // Out of descriptors, or the connection is gone already.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Who has asked for a name, and waits.
struct Askers {
    socket: Arc<std::net::UdpSocket>,
    waiting: Arc<Mutex<std::collections::HashMap<u32, std::net::SocketAddr>>>,
}

impl Askers {
    fn answer(&self, query: u32, packet: &[u8]) {
        let asker = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&query);
        if let Some(asker) = asker {
            // A packet that is lost is asked for again.
            let _ = self.socket.send_to(packet, asker);
        }
    }
}

/// Queries without an answer that are remembered.
const MOST_WAITING: usize = 1024;

/// Hands on what leaves the sandbox: connections to where they were meant for, names to the resolver.
fn outward(mux: &Arc<Mux>, uplink: base::Uplink) -> io::Result<Askers> {
    let resolver = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53);
    tokio::spawn(accept(Arc::clone(mux), uplink.dns_tcp, move |_| Some(resolver)));
    if let Some(listener) = uplink.tcp {
        tokio::spawn(accept(Arc::clone(mux), listener, |socket| sys::original_destination(socket).ok()));
    }
    let socket = Arc::new(uplink.dns_udp);
    let askers = Askers { socket: Arc::clone(&socket), waiting: Arc::default() };
    let waiting = Arc::clone(&askers.waiting);
    let reading = tokio::net::UdpSocket::from_std(socket.try_clone()?)?;
    let mux = Arc::clone(mux);
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        let mut query = 0_u32;
        while let Ok((len, asker)) = reading.recv_from(&mut buffer).await {
            query = query.wrapping_add(1);
            {
                let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if waiting.len() >= MOST_WAITING {
                    waiting.clear();
                }
                waiting.insert(query, asker);
            }
            mux.datagram(query, buffer[..len].to_vec()).await;
        }
    });
    Ok(askers)
}
