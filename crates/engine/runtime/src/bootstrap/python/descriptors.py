"""The open files of a process that is snapshotted: what they are, and how they come to be again.

Connections do not outlive a snapshot, as on Lambda: in their place stands a socket that is not connected, which clients take
for one that was closed.
"""

import json
import os
import socket

image = piece("image")
Unfit = image["Unfit"]
# The standard streams stay those of the environment.
STANDARD = 3
# Of the flags a file was opened with: not made anew, not cut off (asm-generic/fcntl.h).
KEPT_FLAGS = ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC)


def describe(child):
    """The descriptors of `child`, in the order in which they are to be made."""
    links = {}
    for name in os.listdir("/proc/%d/fd" % child):
        number = int(name)
        if number >= STANDARD:
            try:
                links[number] = os.readlink("/proc/%d/fd/%s" % (child, name))
            except FileNotFoundError:
                continue
    found, polls, pairs = [], [], {}
    for number, link in sorted(links.items()):
        about = information(child, number)
        flags = int(about["flags"], 8)
        if link.startswith(("pipe:", "socket:")):
            found += of_pair(number, link, flags, pairs)
        elif link == "anon_inode:[eventpoll]":
            polls.append(("poll", number, flags, about["watched"]))
        elif link.startswith("/") and not link.startswith(("/proc/", "/dev/shm/")) and os.path.exists(link):
            found.append(("file", number, flags & KEPT_FLAGS, link, int(about["pos"])))
        else:
            raise Unfit("descriptor %d is %s, which a snapshot cannot hold" % (number, link))
    for link, ends in pairs.items():
        if len(ends) != 2:
            raise Unfit("descriptor %d is one end of a %s whose other is elsewhere" % (ends[0][0], link[0]))
        found.append((link[0], *ends))
    return found + polls


def information(child, number):
    about = {"watched": []}
    for line in image["read"]("/proc/%d/fdinfo/%d" % (child, number)).decode().splitlines():
        name, _, value = line.partition(":")
        if name == "tfd":
            words = value.split()
            about["watched"].append((int(words[0]), int(words[2], 16)))
        else:
            about[name] = value.strip()
    return about


def of_pair(number, link, flags, pairs):
    """Ends of pipes, and of Unix sockets that are each other's, are put together; a socket of the network stands alone."""
    inode = int(link.partition("[")[2][:-1])
    if link.startswith("pipe:"):
        ends = pairs.setdefault(("pipe", inode), [])
        # The reading end comes first.
        ends.insert(0 if flags & os.O_ACCMODE == os.O_RDONLY else len(ends), (number, flags))
        return []
    # The parent has it under the same number.
    like = socket.socket(fileno=os.dup(number))
    try:
        if like.family in (socket.AF_INET, socket.AF_INET6):
            return [("socket", number, flags, int(like.family), int(like.type))]
        if like.family != socket.AF_UNIX or like.getsockname() or like.getpeername():
            raise Unfit("descriptor %d is a socket of a kind that a snapshot cannot hold" % number)
    except OSError:
        raise Unfit("descriptor %d is a socket of a kind that a snapshot cannot hold" % number)
    finally:
        like.close()
    # Both ends of a pair are made one after the other.
    for other in (inode - 1, inode + 1):
        ends = pairs.get(("pair", other))
        if ends and len(ends) == 1:
            ends.append((number, flags))
            return []
    pairs[("pair", inode)] = [(number, flags)]
    return []


def open_again(described):
    for kind, *about in json.loads(described):
        if kind == "file":
            number, flags, path, position = about
            settle(os.open(path, flags), number, flags)
            if position:
                os.lseek(number, position, os.SEEK_SET)
        elif kind == "socket":
            number, flags, family, type = about
            settle(socket.socket(family, type).detach(), number, flags)
        elif kind == "poll":
            number, flags, watched = about
            poll_again(number, flags, watched)
        else:
            made = os.pipe() if kind == "pipe" else [end.detach() for end in socket.socketpair()]
            # Not under a number that one of them shall have.
            made = [lift(end) for end in made]
            for end, (number, flags) in zip(made, about):
                settle(end, number, flags)


def lift(end):
    import fcntl

    lifted = fcntl.fcntl(end, fcntl.F_DUPFD, 512)
    os.close(end)
    return lifted


def settle(made, number, flags):
    """Gives a descriptor its number and its flags."""
    if made != number:
        os.dup2(made, number)
        os.close(made)
    os.set_inheritable(number, not flags & os.O_CLOEXEC)
    os.set_blocking(number, not flags & os.O_NONBLOCK)


def poll_again(number, flags, watched):
    import select

    poll = select.epoll()
    for other, events in watched:
        poll.register(other, events)
    made = lift(os.dup(poll.fileno()))
    poll.close()
    settle(made, number, flags)
