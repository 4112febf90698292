"""Looks at a process that waits to be snapshotted, and writes the snapshot."""

import json
import os
import stat
import struct
import time
from array import array

image = piece("image")
PAGE, WORD, Unfit = image["PAGE"], image["WORD"], image["Unfit"]
SHARED, PRIVATE, FIXED = image["MAP_SHARED"], image["MAP_PRIVATE"], image["MAP_FIXED"]
ANONYMOUS, GROWSDOWN = image["MAP_ANONYMOUS"], image["MAP_GROWSDOWN"]
READ, WRITE, EXECUTE = image["READ"], image["WRITE"], image["EXECUTE"]

# A gap of pages this long or shorter is kept too: each stretch costs a mapping at every restore.
GAP = 16
# Most mappings; a process may have 65,530 (`vm.max_map_count`).
MOST_CALLS = 20000
# Most memory that processes share with their children and so must be copied at every restore, bytes.
MOST_SHARED = 64 << 20
# How long the child may take until it waits, s.
PATIENCE = 10
# What a mapping's path looks like that no file can be opened by.
NAMELESS = ("/memfd:", "/dev/zero", "/SYSV", "/anon_hugepage", "/dev/shm/")
# Of an entry of `pagemap`: there, in swap, and a file's or shared (the kernel's `Documentation/admin-guide/mm/pagemap.rst`).
THERE, OF_FILE = 3 << 62, 1 << 61


class Snapshot:
    """The calls that make a process look like `child`, and what they need."""

    def __init__(self, child, task):
        self.child, self.task = child, task
        self.calls, self.patches, self.paths = array("Q"), [], {}
        # What is written first: stretches of memory, and how much they are together.
        self.stretches, self.pages = [], 0
        self.kernels, self.taken, self.tmp = [], [], []
        self.memory = os.open("/proc/%d/mem" % child, os.O_RDONLY | os.O_CLOEXEC)
        self.wait()
        alone(child)
        self.files = piece("descriptors")["describe"](child)
        pagemap = os.open("/proc/%d/pagemap" % child, os.O_RDONLY | os.O_CLOEXEC)
        mappings = image["mappings"](child)
        # Native code of the function's own may have an allocator that counts on what it gave back being zero: memory that
        # stands in a file would have its old contents again.
        self.copies = any(path.startswith(("/var/task/", "/opt/")) for *_, path in mappings)
        for start, end, permissions, offset, path in mappings:
            if path != "[vsyscall]":
                self.taken.append((start, end))
                self.mapping(start, end, permissions, offset, path, pagemap)
        os.close(pagemap)
        self.describes = self.thread(mappings)
        if len(self.calls) > 8 * MOST_CALLS:
            raise Unfit("its memory is in too many pieces")
        self.temporary()
        self.finish()

    def wait(self):
        until = time.monotonic() + PATIENCE
        while not self.task.is_frozen(self.memory):
            if time.monotonic() > until:
                raise Unfit("it did not come to rest within %d seconds" % PATIENCE)
            time.sleep(0.0002)

    def add(self, number, *arguments, result=0):
        arguments = [argument & WORD for argument in arguments] + [0] * (6 - len(arguments))
        self.calls.extend([number, *arguments, result])

    def patch(self, argument, which):
        """The last call's argument is the descriptor of a file: 0 is the snapshot."""
        self.patches.append((len(self.calls) - 8 + argument, which))

    def keep(self, start, end):
        """Writes memory into the snapshot. Answers where."""
        at = self.pages
        self.stretches.append((start, end))
        self.pages += end - start
        return at

    def copy(self, start, end):
        self.add(image["PREAD"], 0, start, end - start, self.keep(start, end))
        self.patch(1, 0)

    def mapping(self, start, end, permissions, offset, path, pagemap):
        if image["is_kernels"](path):
            self.kernels.append((path, start, end))
            return
        rights = sum(bit for bit, given in zip((READ, WRITE, EXECUTE), permissions) if given != "-")
        named = path.startswith("/") and not path.endswith(" (deleted)") and not path.startswith(NAMELESS)
        if permissions[3] == "s":
            return self.shared(start, end, rights, offset, path if named else None)
        stretches = changed(start, end, pagemap)
        if named:
            if stretches != [(start, end)]:
                self.of_file(start, end, rights, PRIVATE, offset, path)
        elif path == "[stack]" or self.copies and path != "[heap]":
            grows = GROWSDOWN if path == "[stack]" else 0
            more = READ | WRITE if stretches else 0
            self.add(image["MMAP"], start, end - start, rights | more, PRIVATE | FIXED | ANONYMOUS | grows, -1, 0)
            for stretch in stretches:
                self.copy(*stretch)
            if rights | more != rights:
                self.add(image["MPROTECT"], start, end - start, rights)
            return
        elif stretches != [(start, end)]:
            self.add(image["MMAP"], start, end - start, rights, PRIVATE | FIXED | ANONYMOUS, -1, 0)
        for first, last in stretches:
            at = self.keep(first, last)
            self.add(image["MMAP"], first, last - first, rights, PRIVATE | FIXED, 0, at)
            self.patch(5, 0)

    def of_file(self, start, end, rights, kind, offset, path):
        self.add(image["MMAP"], start, end - start, rights, kind | FIXED, 0, offset)
        self.patch(5, self.paths.setdefault(path, len(self.paths) + 1))

    def shared(self, start, end, rights, offset, path):
        """Memory that children would share. What stands in a file can be had again only where nobody writes."""
        if path and rights & WRITE:
            raise Unfit("it has mapped %s for writing" % path)
        if path:
            return self.of_file(start, end, rights, SHARED, offset, path)
        if end - start > MOST_SHARED:
            raise Unfit("it shares more than %d MiB of memory" % (MOST_SHARED >> 20))
        self.add(image["MMAP"], start, end - start, READ | WRITE, SHARED | FIXED | ANONYMOUS, -1, 0)
        self.copy(start, end)
        if rights != READ | WRITE:
            self.add(image["MPROTECT"], start, end - start, rights)

    def thread(self, mappings):
        """What the kernel knows of the process and its thread. Answers where in the calls the description goes whose place
        only the restorer knows."""
        fields = image["read"]("/proc/%d/stat" % self.child).rpartition(b") ")[2].split()

        def field(number):
            # As `man 5 proc` counts them.
            return int(fields[number - 3])

        heap = [end for _, end, _, _, path in mappings if path == "[heap]"]
        numbers = [field(number) for number in (26, 27, 45, 46, 47)]
        numbers += [heap[-1] if heap else field(47), field(28)] + [field(number) for number in (48, 49, 50, 51)]
        # `struct prctl_mm_map`: no new auxiliary vector, no new program.
        self.description = struct.pack("12Q2I", *numbers, 0, 0, 0xFFFFFFFF)
        self.add(image["PRCTL"], image["PR_SET_MM"], image["PR_SET_MM_MAP"], 0, len(self.description), 0)
        at = len(self.calls) - 8 + 3
        task = self.task
        self.add(image["ARCH_PRCTL"], image["ARCH_SET_FS"], task.thread_pointer)
        # The C library keeps the thread's number there.
        self.add(image["SET_TID_ADDRESS"], task.tid_address, result=task.tid_address)
        self.add(image["SET_ROBUST_LIST"], task.robust_list, 24)
        if task.sequences:
            self.add(image["RSEQ"], task.sequences, image["RSEQ_BYTES"], 0, image["RSEQ_SIGNATURE"])
        return at

    def temporary(self):
        """The files in /tmp."""
        self.extra, at = [], self.pages
        for folder, folders, files in os.walk("/tmp"):
            for name in folders + files:
                path = os.path.join(folder, name)
                about = os.lstat(path)
                mode = stat.S_IMODE(about.st_mode)
                if stat.S_ISDIR(about.st_mode):
                    self.tmp.append((path, "folder", mode, 0, 0))
                    continue
                if stat.S_ISLNK(about.st_mode):
                    kind, source = "link", os.fsencode(os.readlink(path))
                    size = len(source)
                elif stat.S_ISREG(about.st_mode):
                    kind, source, size = "file", path, about.st_size
                else:
                    raise Unfit("%s is neither a file nor a folder" % path)
                self.tmp.append((path, kind, mode, at, size))
                self.extra.append((source, size))
                at += size
        self.end = at

    def finish(self):
        listed = self.calls.tobytes()
        paths = [[path, *image["identity"](os.stat(path))] for path in self.paths]
        head = json.dumps({
            "area": self.task.area,
            "describes": self.describes,
            "files": self.files,
            "kernels": self.kernels,
            "machine": image["same_machine"](),
            "memory": self.description.hex(),
            "patches": self.patches,
            "paths": paths,
            "taken": self.taken,
            "tmp": self.tmp,
        }).encode()
        self.tail = listed + head + struct.pack("3Q", self.end, len(listed), len(head))
        self.size = self.end + len(self.tail)

    def write(self, send):
        for start, end in self.stretches:
            while start < end:
                part = os.pread(self.memory, min(end - start, 1 << 20), start)
                if not part:
                    raise OSError("its memory cannot be read")
                send(part)
                start += len(part)
        for source, size in self.extra:
            if isinstance(source, bytes):
                send(source)
                continue
            with open(source, "rb") as file:
                while size and (part := file.read(min(size, 1 << 20))):
                    send(part)
                    size -= len(part)
            if size:
                raise OSError("%s became shorter" % source)
        send(self.tail)


def changed(start, end, pagemap):
    """The stretches of a private mapping whose contents are the process's own."""
    entries, count = array("Q"), (end - start) // PAGE
    while len(entries) < count:
        part = min(count - len(entries), 1 << 16)
        got = os.pread(pagemap, part * 8, (start // PAGE + len(entries)) * 8)
        if not got:
            raise OSError("its pages cannot be looked at")
        entries.frombytes(got)
    stretches = []
    for at, entry in enumerate(entries):
        if entry & THERE and not entry & OF_FILE:
            if stretches and at - stretches[-1][1] <= GAP:
                stretches[-1][1] = at + 1
            else:
                stretches.append([at, at + 1])
    return [(start + first * PAGE, start + last * PAGE) for first, last in stretches]


def alone(child):
    """Whether there is nothing but one thread of one process. Those who know of forks have ended their threads for this
    one."""
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise Unfit("it has %d threads after INIT, and a snapshot holds one" % threads)
    for thread in os.listdir("/proc/self/task"):
        for other in image["read"]("/proc/self/task/%s/children" % thread).split():
            dead = image["read"]("/proc/%d/stat" % int(other)).rpartition(b") ")[2][:1] == b"Z"
            if int(other) != child and not dead:
                raise Unfit("it has started other processes, and a snapshot holds one")
