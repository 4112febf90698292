"""Turns this process, which has all its walls, into the one that a snapshot was taken of.

Nothing here needs a right that the function itself does not have: memory is mapped from files that it may read. What is
written into memory is its own (copies of pages on their first change), what is only read is shared with all other
environments of the version.
"""

import ctypes
import json
import os
import struct
import sys
from array import array

image = piece("image")
PAGE, WORD, Unfit = image["PAGE"], image["WORD"], image["Unfit"]
# Where the description of the memory that goes to the kernel stands in the first page, and a mask of all signals.
DESCRIPTION, ALL_SIGNALS = 1024, 2048


def restore():
    """Comes back only when the snapshot cannot be restored; then INIT begins as without one."""
    try:
        play(*build())
    except Exception as error:
        text = str(error) if isinstance(error, Unfit) else "%s: %s" % (type(error).__name__, error)
        sys.stderr.write("Lambent: the snapshot cannot be restored (%s): the function is initialized anew\n" % text)
        sys.stderr.flush()


def build():
    """The list of system calls to make, and where: the first page of the room is code, the list follows."""
    file = os.open(image["PLACE"], os.O_RDONLY | os.O_CLOEXEC)
    size = os.fstat(file).st_size
    data, calls, described = struct.unpack("3Q", os.pread(file, 24, size - 24))
    tail = os.pread(file, calls + described, data)
    theirs, head = array("Q", tail[:calls]), json.loads(tail[calls:])
    if head["machine"] != image["same_machine"]():
        raise Unfit("it was taken before the machine was started anew")
    open_files(file, theirs, head)
    for path, *about in head["tmp"]:
        lay(file, path, *about)
    mine = image["mappings"]("self")
    kernels = {path: (start, end) for start, end, _, _, path in mine if image["is_kernels"](path)}
    wanted = {path: (start, end) for path, start, end in head["kernels"]}
    if sizes(kernels) != sizes(wanted):
        raise Unfit("the kernel's own pages are others")
    list_bytes = (len(theirs) + 64 * 8) * 8
    room = (PAGE + list_bytes + PAGE - 1) & -PAGE
    taken = [(start, end) for start, end, *_ in mine] + head["taken"]
    base = find_room(room + sum(sizes(kernels).values()), taken)
    calls = prelude(base, room, kernels, wanted, theirs, head) + epilogue(head, base, room)
    return base, room, calls, bytes.fromhex(head["memory"])


def sizes(spans):
    return {path: end - start for path, (start, end) in spans.items()}


def open_files(file, calls, head):
    """Opens what is mapped, and writes the descriptors into the list."""
    files = [file]
    for path, *identity in head["paths"]:
        try:
            opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Unfit("%s: %s" % (path, error.strerror))
        if image["identity"](os.fstat(opened)) != identity:
            raise Unfit("%s has changed" % path)
        files.append(opened)
    for at, which in head["patches"]:
        calls[at] = files[which]


def lay(file, path, kind, mode, offset, size):
    """Puts a file of the snapshot's /tmp where it was."""
    if kind == "folder":
        os.makedirs(path, exist_ok=True)
    elif kind == "link":
        os.symlink(os.pread(file, size, offset), os.fsencode(path))
        return
    else:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        end = offset + size
        while offset < end:
            sent = os.sendfile(made, file, offset, end - offset)
            if not sent:
                raise Unfit("it is not whole")
            offset += sent
        os.close(made)
    os.chmod(path, mode)


def find_room(size, taken):
    """A place that neither process uses, far from where programs, heaps and libraries are put."""
    base = 0x100000000000
    while any(base < end and start < base + size for start, end in taken):
        base += 1 << 32
    return base


def prelude(base, room, kernels, wanted, theirs, head):
    """The whole list but its end: away with what is here, the kernel's pages to where they were, then the snapshot's own
    calls."""
    calls = array("Q")

    def add(number, *arguments):
        calls.extend([number, *(argument & WORD for argument in arguments), *[0] * (7 - len(arguments))])

    add(image["RT_SIGPROCMASK"], 2, base + ALL_SIGNALS, 0, 8)
    sequences = image["restartable_sequences"]()
    if sequences:
        rseq = image["RSEQ_BYTES"], image["RSEQ_UNREGISTER"], image["RSEQ_SIGNATURE"]
        add(image["RSEQ"], sequences, *rseq)
    # Out of the way first: the one's place may be the other's.
    aside, at = {}, base + room
    for path, (start, end) in kernels.items():
        add(image["MREMAP"], start, end - start, end - start, 3, at)
        aside[path], at = at, at + end - start
    add(image["MUNMAP"], 16 * PAGE, base - 16 * PAGE)
    add(image["MUNMAP"], at, image["END"] - at)
    for path, (start, end) in wanted.items():
        add(image["MREMAP"], aside[path], end - start, end - start, 3, start)
    theirs[head["describes"]] = base + DESCRIPTION
    return calls + theirs


def epilogue(head, base, room):
    """The variables go along in a file without a name, the only one that stays open besides the standard streams; before
    them, where the room is, which is then of no more use, and which files were open."""
    before = [b"%d %d" % (base, room), json.dumps(head["files"]).encode()]
    words = b"\0".join(before + [b"%s=%s" % pair for pair in os.environb.items()])
    given = os.memfd_create("words")
    os.write(given, words)
    os.lseek(given, 0, 0)
    calls = array("Q")
    # To the same number changes nothing.
    calls.extend([image["DUP2"], given, 3, 0, 0, 0, 0, 0])
    calls.extend([image["CLOSE_RANGE"], 4, 0xFFFFFFFF, 0, 0, 0, 0, 0])
    calls.extend([WORD, head["area"], 3, 0, 0, 0, 0, 0])
    return calls


def play(base, room, calls, description):
    flags = image["MAP_PRIVATE"] | image["MAP_ANONYMOUS"] | image["MAP_FIXED_NOREPLACE"]
    rights = image["READ"] | image["WRITE"] | image["EXECUTE"]
    if image["LIBC"].mmap(base, room, rights, flags, -1, 0) != base:
        raise Unfit("there is no room for it")
    listed = calls.tobytes()
    for at, what in [
        (base, image["CODE"]),
        (base + DESCRIPTION, description),
        (base + ALL_SIGNALS, b"\xff" * 8),
        (base + PAGE, listed),
    ]:
        ctypes.memmove(at, what, len(what))
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.PYFUNCTYPE(ctypes.c_long, ctypes.c_void_p)(base + image["PLAY"])(base + PAGE)
