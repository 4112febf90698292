"""Files of the host."""

import mmap
import os
import sys

from tries import attempt, read, visible, write


@attempt("read a secret of the host by its path")
def _(host):
    return read(host["secret"])


@attempt("read it through every process's root and folder")
def _(host):
    found = []
    for pid in [*filter(str.isdigit, os.listdir("/proc")), "1", "self", "thread-self"]:
        for way in ["root", "cwd", "fd/3/..", "map_files"]:
            try:
                found.append(read(f"/proc/{pid}/{way}{host['secret']}"))
            except OSError:
                pass
    return found


@attempt("read it by climbing from every open folder")
def _(host):
    found = []
    for start in ["/", "/tmp", "/proc/self/cwd", "/usr", "/dev/shm"]:
        try:
            folder = os.open(start, os.O_RDONLY | os.O_DIRECTORY)
            found.append(os.open("../" * 40 + host["secret"].lstrip("/"), os.O_RDONLY, dir_fd=folder))
        except OSError:
            pass
    return found


@attempt("list homes, data folder and state of the host")
def _(host):
    # An interpreter may stand in somebody's home: the way to it is there, and nothing beside it.
    way = [os.path.realpath(sys.base_prefix), "/var/task", "/var/runtime", "/var/lang", "/opt"]

    def leads(path):
        return any(step == path or step.startswith(path + "/") or path.startswith(step + "/") for step in way)

    found, folders = [], ["/root", "/home", "/srv", "/mnt", "/media", "/run", "/sys", "/boot", "/var", host["data"], host["workspace"]]
    while folders:
        for path in visible([folders.pop()]):
            if os.path.islink(path) or path in way:
                continue
            if not leads(path):
                found.append(path)
            elif os.path.isdir(path):
                folders.append(path)
    return found


@attempt("read who the host's users are")
def _(host):
    found = visible(f"/etc/{name}" for name in ["shadow", "gshadow", "sudoers", "subuid", "subgid", "machine-id", "ssh", "fstab", "crontab", "environment"])
    return found + [line for line in open("/etc/passwd") if line.split(":")[0] not in ("root", "nobody", "sbx_user1051")]


@attempt("find something in the root that is none of ours")
def _(host):
    known = {"bin", "dev", "etc", "gnu", "home", "lib", "lib32", "lib64", "libx32", "mnt", "nix", "opt", "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var"}
    way = os.path.realpath(sys.base_prefix).split("/")[1]
    return sorted(set(os.listdir("/")) - known - {way})


@attempt("find a socket, pipe or device among shared files")
def _(host):
    found = []
    devices = {"/dev/" + name for name in ["null", "zero", "full", "random", "urandom", "tty"]}
    folders = ["/"]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:
            continue
        for entry in entries:
            if entry.is_symlink() or entry.path in ("/proc", "/tmp"):
                continue
            if entry.is_dir():
                folders.append(entry.path)
            elif not entry.is_file() and entry.path not in devices:
                found.append(entry.path)
    return found


@attempt("write anywhere but /tmp and /dev/shm")
def _(host):
    found = []
    write("/tmp/linked", "x")
    places = [os.path.join("/", name) for name in os.listdir("/")] + [
        "/", "/var/task", "/var/runtime", "/opt", "/usr/bin", "/usr/lib", "/usr/local", "/etc/ssl", "/home", "/dev", "/proc", "/proc/self", "/var", sys.prefix,
    ]  # fmt: skip
    for place in set(places) - {"/tmp"}:
        for make in [
            lambda path: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)),
            os.mkdir,
            os.mkfifo,
            lambda path: os.symlink("x", path),
            lambda path: os.link("/tmp/linked", path),
        ]:
            try:
                make(place + "/lambent-was-here")
                found.append(place)
            except OSError:
                pass
    os.unlink("/tmp/linked")
    return found


@attempt("change a file that is shared")
def _(host):
    found = []
    files = ["/etc/passwd", "/etc/hosts", "/etc/resolv.conf", "/usr/bin/env", "/var/task/app.py", sys.executable]
    for path in [*files, *("/dev/" + name for name in os.listdir("/dev") if name not in ("shm", "fd"))]:
        changes = [
            lambda: os.chmod(path, 0o777),
            lambda: os.chown(path, 0, 0),
            lambda: os.chown(path, os.getuid(), os.getgid()),
            lambda: os.utime(path, (1, 1)),
            lambda: os.rename(path, "/tmp/taken"),
            lambda: os.unlink(path),
            lambda: os.setxattr(path, "user.x", b"x"),
        ]
        if path in ("/dev/stdout", "/dev/stderr", "/dev/stdin"):
            continue
        if path in files:
            changes += [lambda: os.close(os.open(path, os.O_WRONLY | os.O_APPEND)), lambda: os.truncate(path, 0)]
        for number, change in enumerate(changes):
            try:
                change()
                found.append((path, number))
            except OSError:
                pass
    return found


@attempt("write to program files through shared memory maps")
def _(host):
    file = os.open("/usr/bin/env", os.O_RDONLY)
    area = mmap.mmap(file, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    area[0:1] = b"X"
    return True


@attempt("write to a read-only map through /proc/self/mem")
def _(host):
    # Allowed by the kernel for private maps, which become copies; the file must stay as it is.
    file = os.open("/usr/bin/env", os.O_RDONLY)
    area = mmap.mmap(file, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)
    line = next(line for line in open("/proc/self/maps") if line.rstrip().endswith("/env"))
    try:
        memory = os.open("/proc/self/mem", os.O_RDWR)
        os.pwrite(memory, b"XXXX", int(line.split("-")[0], 16))
    except OSError:
        pass
    del area
    return read("/usr/bin/env", 4)[:4] != b"\x7fELF"


@attempt("see host paths in the list of mounts")
def _(host):
    return [word for word in host["paths"] for line in open("/proc/self/mountinfo") if word in line]


@attempt("see host paths in any file of /proc about processes")
def _(host):
    found = []
    for pid in ["self", *filter(str.isdigit, os.listdir("/proc")), "1"]:
        for name in ["cmdline", "environ", "maps", "cgroup", "stat", "status", "limits", "wchan", "numa_maps", "smaps_rollup"]:
            try:
                text = read(f"/proc/{pid}/{name}", 1 << 20).decode(errors="replace")
            except OSError:
                continue
            found += [f"{pid} {name} {word}" for word in host["paths"] if word in text]
    return found


@attempt("read what /proc tells of the host's devices and memory")
def _(host):
    names = [
        "cmdline", "diskstats", "interrupts", "iomem", "ioports", "kallsyms", "kcore", "key-users", "keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags",
        "latency_stats", "locks", "mdstat", "modules", "pagetypeinfo", "partitions", "sched_debug", "schedstat", "slabinfo", "softirqs", "swaps",
        "sysrq-trigger", "timer_list", "vmallocinfo", "acpi", "asound", "bus", "driver", "fs", "irq", "scsi",
    ]  # fmt: skip
    found = []
    for name in names:
        try:
            path = f"/proc/{name}"
            if os.listdir(path) if os.path.isdir(path) else read(path, 1):
                found.append(name)
        except OSError:
            pass
    return found
