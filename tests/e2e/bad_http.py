"""Clients that do not keep to HTTP: raw sockets, HTTP/2 frames, and what a server holds of them afterwards."""

import os
import socket
import ssl
import struct
import time

from hyperframe.frame import Frame, GoAwayFrame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def descriptors(platform):
    """How many sockets the server process holds."""
    folder = f"/proc/{platform.process.pid}/fd"
    found = 0
    for entry in os.listdir(folder):
        try:
            found += os.readlink(f"{folder}/{entry}").startswith("socket:")
        except FileNotFoundError:
            pass
    return found


def resident_mib(platform):
    with open(f"/proc/{platform.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def connect(platform):
    made = socket.create_connection(("127.0.0.1", platform.port), timeout=20)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def drain(connection):
    """What comes until the other side closes; a reset is a close too."""
    came = b""
    try:
        while piece := connection.recv(65536):
            came += piece
    except (ConnectionResetError, ssl.SSLError):
        pass
    except socket.timeout:
        raise AssertionError(f"the server neither answers nor closes after {came[:2000]!r}") from None
    return came


def exchange(platform, *pieces, shut=False, pause=0):
    """Sends pieces, then reads until the server closes."""
    with connect(platform) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            if shut:
                connection.shutdown(socket.SHUT_WR)
        except (ConnectionResetError, BrokenPipeError):
            pass
        return drain(connection)


def statuses(answer):
    """The status of each answer on a connection."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def reset(connection):
    """Closes with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Two:
    """A connection that speaks HTTP/2 frame by frame."""

    def __init__(self, platform, settings=None, tls=None):
        self.socket = tls or connect(platform)
        first = SettingsFrame(0, settings=settings or {})
        self.socket.sendall(PREFACE + first.serialize())
        self.buffer, self.gone = b"", False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *frames):
        """True while the server takes it."""
        try:
            self.socket.sendall(b"".join(frame if isinstance(frame, bytes) else frame.serialize() for frame in frames))
            return True
        except (ConnectionResetError, BrokenPipeError, socket.timeout):
            self.gone = True
            return False

    def frames(self, until=None, seconds=15):
        """Frames as they come, until one is `until`, the server closes, or the time is over."""
        seen, end = [], time.monotonic() + seconds
        while True:
            while len(self.buffer) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(self.buffer[:9]))
                if len(self.buffer) < 9 + length:
                    break
                frame.parse_body(memoryview(self.buffer[9 : 9 + length]))
                self.buffer = self.buffer[9 + length :]
                seen.append(frame)
                if until and until(frame):
                    return seen
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                piece = self.socket.recv(65536)
            except socket.timeout:
                return seen
            except (ConnectionResetError, ssl.SSLError):
                piece = b""
            if not piece:
                self.gone = True
                return seen
            self.buffer += piece

    def farewell(self, seconds=15):
        """The error code with which the server lets the connection go; none if it only closes. It must close."""
        seen = self.frames(seconds=seconds)
        assert self.gone, f"the server keeps the connection: {seen}"
        return next((frame.error_code for frame in reversed(seen) if isinstance(frame, GoAwayFrame)), None)
