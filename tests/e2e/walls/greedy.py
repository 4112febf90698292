"""A function that takes more than its share. Each way says how far it got."""

import ctypes
import fcntl
import mmap
import os
import signal
import socket
import threading
import time

MB = 1 << 20


def fill(one, data=b"x" * 65536):
    """Sends until nothing more is taken."""
    one.setblocking(False)
    sent = 0
    try:
        while True:
            sent += one.send(data)
    except OSError:
        return sent


def alone(event):
    return len(bytearray(400 * MB))


def by_children(event):
    for _ in range(5):
        if os.fork() == 0:
            kept = bytearray(60 * MB)
            time.sleep(60 + len(kept) % 2)
    time.sleep(20)
    return "all live"


def memfd(event):
    file = os.memfd_create("x")
    return sum(os.write(file, b"x" * MB) for _ in range(400))


def shared_map(event):
    area = mmap.mmap(-1, 400 * MB)
    for at in range(0, 400 * MB, 4096):
        area[at] = 1
    return len(area)


def shm(event):
    return fill_file("/dev/shm/big")


def tmp(event):
    return fill_file("/tmp/big")


def fill_file(path):
    written = 0
    try:
        with open(path, "wb", 0) as file:
            while True:
                written += file.write(b"x" * MB)
    except OSError as error:
        os.unlink(path)
        return [written // MB, error.strerror]


def unix_sockets(event):
    kept, sent = [], 0
    while len(kept) < 900:
        pair = socket.socketpair()
        kept += pair
        pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30)
        sent += fill(pair[0])
    return sent // MB


def tcp_sockets(event):
    server, kept, sent = socket.create_server(("127.0.0.1", 0)), [], 0
    end = time.monotonic() + event["seconds"]
    while len(kept) < 900 and time.monotonic() < end:
        one = socket.create_connection(server.getsockname(), 2)
        other, _ = server.accept()
        kept += [one, other]
        sent += fill(one) + fill(other)
    return sent // MB


def udp_sockets(event):
    kept = []
    end = time.monotonic() + event["seconds"]
    while len(kept) < 900 and time.monotonic() < end:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind(("127.0.0.1", 0))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 30)
        one.connect(one.getsockname())
        one.setblocking(False)
        kept.append(one)
        for _ in range(200):
            try:
                one.send(b"x" * 32000)
            except OSError:
                break
    got = 0
    for one in kept:
        try:
            while True:
                got += len(one.recv(65536))
        except OSError:
            pass
    return got // MB


def pipes(event):
    kept, written = [], 0
    while len(kept) < 900:
        reader, writer = os.pipe()
        kept += [reader, writer]
        os.set_blocking(writer, False)
        try:
            fcntl.fcntl(writer, 1031, MB)
            while True:
                written += os.write(writer, b"x" * 65536)
        except OSError:
            pass
    return written // MB


def threads(event):
    kept = []
    try:
        while True:
            kept.append(threading.Thread(target=time.sleep, args=(60,), daemon=True))
            kept[-1].start()
    except RuntimeError as error:
        return [len(kept) - 1, str(error)]


def forks(event):
    made = []
    try:
        while True:
            child = os.fork()
            if child == 0:
                signal.pause()
            made.append(child)
    except OSError as error:
        for child in made:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        return [len(made), error.strerror]


def descriptors(event):
    kept = []
    try:
        while True:
            kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        for one in kept:
            os.close(one)
        return [len(kept), error.strerror]


def watches(event):
    """All that may watch files, kept while it sleeps on in the background."""
    libc = ctypes.CDLL(None)
    globals()["kept"] = []
    while (one := libc.inotify_init1(0)) >= 0:
        kept.append(one)
    return len(kept)


def outlive(event):
    """Processes that left session and group, ignore what they may, and hold on to the output."""
    for _ in range(20):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for number in range(1, 65):
                    try:
                        signal.signal(number, signal.SIG_IGN)
                    except (OSError, ValueError):
                        pass
                os.chdir("/tmp")
                while True:
                    time.sleep(1000)
            os._exit(0)
    if event["then"] == "sleep":
        time.sleep(100)
    if event["then"] == "kill all":
        os.kill(-1, signal.SIGKILL)
    os._exit(7)


def silent(event):
    """Closes everything that says something, and answers nevertheless."""
    print("before", flush=True)
    os.close(1)
    os.close(2)
    return "still here"


def flood(event):
    line = b"y" * 99 + b"\n"
    for _ in range(300):
        os.write(1, line * 1000)
    return "done"


def long_line(event):
    os.write(1, b"z" * event["bytes"] + b"\n")
    return "done"


def answer(event):
    return "a" * event["bytes"]


def handler(event, context):
    return globals()[event["way"]](event)
