"""A virtual machine with a Debian kernel and pure cgroup v2, for what this host's own kernel cannot show.

The machine sees the host's file system read-only, over 9p; `/tmp`, `/run` and `/dev/shm` are its own, the host's `/tmp` is at
`/run/host/tmp`. It has no network.
QEMU emulates the processor, so it runs anywhere, some ten to twenty times slower than the host.

    python3 tests/guest/guest.py [--seconds 120] [--memory 2048] [--processors 2] -- COMMAND ...

runs a command inside as root and ends with its status. The kernel is the newest one of LAMBENT_GUEST_KERNEL (a folder
that has `boot/vmlinuz-*` and `lib/modules/*`), of the host itself, or of `target/guest-kernel`, where `--fetch` unpacks
Debian's package without installing it.
"""

import argparse
import ctypes
import dataclasses
import mmap
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
FETCHED = REPOSITORY / "target" / "guest-kernel"

# What the machine itself needs, then what the platform needs of a kernel.
MODULES = """
crc32c_generic virtio_mmio 9p 9pnet_virtio virtio_console overlay
nf_tables nft_chain_nat nft_redir nft_reject_ipv4 nft_reject_ipv6 nft_ct nft_limit
""".split()

INIT = """#!/bin/busybox sh
export PATH=/bin
for applet in sh mount mkdir insmod cat switch_root; do /bin/busybox ln -s busybox /bin/$applet 2>/dev/null; done
mount -t proc proc /proc
for module in $(cat /modules/order); do insmod /modules/$module; done
mkdir -p /new
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 host /new || exec /bin/busybox reboot -f
mount -t tmpfs -o mode=1777 tmp /new/tmp
mount -t tmpfs -o mode=755 run /new/run
mount -t devtmpfs dev /new/dev
mkdir -p /new/dev/shm /new/dev/pts /new/run/guest /new/run/host
mount -o bind /new /new/run/host
mount -t tmpfs -o mode=1777 shm /new/dev/shm
mount -t devpts pts /new/dev/pts
mount -t proc proc /new/proc
mount -t sysfs sys /new/sys
mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
/bin/busybox cp /bin/busybox /command /inside /new/run/guest/
exec switch_root /new /run/guest/busybox sh /run/guest/inside
"""

# In the host's file system, as process 1. The command runs as its child: what it leaves behind is seen.
INSIDE = """
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8
box=/run/guest/busybox
$box ip link set lo up 2>/dev/null || $box ifconfig lo 127.0.0.1 up
$box ln -sf /proc/self/fd /dev/fd; $box ln -sf /proc/self/fd/1 /dev/stdout; $box ln -sf /proc/self/fd/2 /dev/stderr
$box hostname guest
cd /tmp
echo up > /dev/hvc1
/bin/sh /run/guest/command </dev/null >/dev/hvc0 2>&1
status=$?
echo "ended $status" > /dev/hvc1
$box sync
$box reboot -f
"""


class Missing(Exception):
    """The host lacks what a guest needs; the words say what and how to get it."""


@dataclasses.dataclass
class Kernel:
    image: pathlib.Path
    modules: pathlib.Path

    @property
    def release(self):
        return self.modules.name


@dataclasses.dataclass
class Ended:
    """How a command ended: its status (None when the machine ended first or time was up), what it wrote, and what the
    kernel said."""

    status: int | None
    output: str
    console: str
    timed_out: bool


def kernels(root):
    """The kernels of a root folder that have modules, the newest last."""
    found = []
    for image in sorted((root / "boot").glob("vmlinuz-*"), key=lambda path: path.stat().st_mtime):
        modules = root / "lib" / "modules" / image.name.removeprefix("vmlinuz-")
        if (modules / "kernel").is_dir():
            found.append(Kernel(image, modules))
    return found


def kernel():
    """The kernel to boot."""
    named = os.environ.get("LAMBENT_GUEST_KERNEL")
    for root in [pathlib.Path(named)] if named else [FETCHED, pathlib.Path("/")]:
        for found in reversed(kernels(root)):
            if next(found.modules.rglob("9p.ko*"), None):
                return found
    raise Missing("no kernel with 9p to boot: run `python3 tests/guest/guest.py --fetch`, or name a folder with "
                  "boot/ and lib/modules/ in LAMBENT_GUEST_KERNEL")


def inside(path):
    """Where a path of the host is in the machine, wherever the host has it: some folders are the machine's own."""
    return f"/run/host{path}"


def fetch():
    """Downloads Debian's kernel package and unpacks it, without installing it."""
    names = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True, check=True)
    package = next(line.split()[-1] for line in names.stdout.splitlines() if "Depends: linux-image" in line)
    FETCHED.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FETCHED.parent) as folder:
        subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True)
        [archive] = pathlib.Path(folder).glob("*.deb")
        subprocess.run(["dpkg", "-x", archive, f"{folder}/root"], check=True)
        shutil.rmtree(FETCHED, ignore_errors=True)
        os.rename(f"{folder}/root", FETCHED)
    return kernel()


def needed():
    """The programs a guest needs; raises Missing with the command that installs them."""
    programs = {"qemu-system-x86_64": "qemu-system-x86", "cpio": "cpio", "busybox": "busybox-static"}
    absent = [package for program, package in programs.items() if not shutil.which(program)]
    if absent:
        raise Missing(f"a guest needs `apt-get install --no-install-recommends {' '.join(absent)}`")
    return kernel()


def _dependencies(module):
    """The names in a module's `depends=`."""
    data = module.read_bytes()
    start = data.find(b"\0depends=") + len(b"\0depends=")
    if start < len(b"\0depends="):
        return []
    return [name for name in data[start:data.index(b"\0", start)].decode().split(",") if name]


def _modules(from_kernel, names):
    """The module files for these names and what they depend on, each after what it needs. One that the kernel has built
    in has no file."""
    files = {path.name.removesuffix(".ko").replace("-", "_"): path for path in from_kernel.modules.rglob("*.ko")}
    order = []

    def add(name):
        path = files.get(name.replace("-", "_"))
        if path and path not in order:
            for dependency in _dependencies(path):
                add(dependency)
            order.append(path)

    for name in names:
        add(name)
    return order


def _initramfs(folder, from_kernel, script):
    """Packs the first file system of the machine."""
    root = folder / "root"
    for name in ["bin", "modules", "proc"]:
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin" / "busybox")
    order = _modules(from_kernel, MODULES)
    for path in order:
        shutil.copy(path, root / "modules" / path.name)
    (root / "modules" / "order").write_text("".join(f"{path.name}\n" for path in order))
    for name, text in [("init", INIT), ("inside", INSIDE), ("command", script)]:
        (root / name).write_text(text)
        (root / name).chmod(0o755)
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    archive = folder / "initramfs"
    with archive.open("wb") as out:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, input=names.encode(), stdout=out, check=True)
    return archive


def _tsc_khz():
    """How fast the processor's time stamp counter counts, which is the machine's too: measured here, because the guest
    would compare it with an emulated timer, and hang where the host is too busy to keep that one's time."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("0f3148c1e2204809d0c3"))  # rdtsc; shl rdx, 32; or rax, rdx; ret
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    begin, counted = time.monotonic_ns(), read()
    time.sleep(0.1)
    return (read() - counted) * 1_000_000 // (time.monotonic_ns() - begin)


def _copy(source, into, show):
    """Reads a pipe to its end."""
    with open(source, "rb", buffering=0) as pipe:
        while chunk := pipe.read(65536):
            into.append(chunk)
            if show is not None:
                os.write(show, chunk)


def run(command, seconds=120, memory_mb=2048, processors=2, show=None):
    """Runs a command (a list, or a script for sh) in a new machine, for at most `seconds`. `show` is a file descriptor
    that gets the output as it comes."""
    from_kernel = needed()
    script = command if isinstance(command, str) else shlex.join(map(str, command))
    with tempfile.TemporaryDirectory(prefix="lambent-guest-") as name:
        folder = pathlib.Path(name)
        archive = _initramfs(folder, from_kernel, script + "\n")
        reading, writing = os.pipe()
        machine = [
            "qemu-system-x86_64", "-machine", "microvm,acpi=on,rtc=on", "-accel", "tcg,thread=multi",
            "-cpu", "max", "-smp", str(processors), "-m", str(memory_mb), "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-kernel", str(from_kernel.image), "-initrd", str(archive),
            "-append", "console=ttyS0 quiet loglevel=4 reboot=t panic=-1 random.trust_cpu=on no_timer_check tsc=reliable "
            f"tsc_early_khz={_tsc_khz()}",
            "-chardev", f"file,id=console,path={folder / 'console'}", "-serial", "chardev:console",
            "-device", "virtio-serial-device",
            "-chardev", f"file,id=output,path=/dev/fd/{writing}", "-device", "virtconsole,chardev=output",
            "-chardev", f"file,id=status,path={folder / 'status'}", "-device", "virtconsole,chardev=status",
            "-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
            "-device", "virtio-9p-device,fsdev=host,mount_tag=host",
        ]
        qemu = subprocess.Popen(machine, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, pass_fds=[writing])
        os.close(writing)
        written = []
        reader = threading.Thread(target=_copy, args=(reading, written, show))
        reader.start()
        try:
            said, timed_out = qemu.communicate(timeout=seconds)[1], False
        except subprocess.TimeoutExpired:
            qemu.kill()
            said, timed_out = qemu.communicate()[1], True
        reader.join()
        output = b"".join(written).decode(errors="replace").replace("\r\n", "\n")

        def text(file):
            path = folder / file
            return path.read_text(errors="replace") if path.exists() else ""

        ended = text("status").split()
        status = int(ended[-1]) if "ended" in ended else None
        return Ended(status, output, text("console") + said, timed_out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fetch", action="store_true", help="download and unpack Debian's kernel first")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--memory", type=int, default=2048, help="MiB")
    parser.add_argument("--processors", type=int, default=2)
    parser.add_argument("command", nargs="*")
    options = parser.parse_args()
    try:
        if options.fetch:
            print(fetch().image, file=sys.stderr)
        if not options.command:
            return 0
        ended = run(options.command, options.seconds, options.memory, options.processors, show=sys.stdout.fileno())
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 2
    if ended.status is None:
        print(ended.console, "time is up" if ended.timed_out else "the machine ended first", sep="\n", file=sys.stderr)
        return 124
    return ended.status


if __name__ == "__main__":
    sys.exit(main())
