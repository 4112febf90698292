"""Sockets, and what is reached by them."""

import ctypes
import errno
import os
import socket
import struct

from tries import attempt, libc, plain, read


def reaches(family, kind, address, timeout=0.3, say=b"GET / HTTP/1.0\r\nHost: x\r\n\r\n"):
    """Whether somebody answers there. Answers false where nobody does but the connection stands."""
    with socket.socket(family, kind) as one:
        one.settimeout(timeout)
        one.connect(address)
        one.sendall(say)
        try:
            return one.recv(64)
        except TimeoutError:
            return False


@attempt("connect to an abstract socket of the host")
def _(host):
    return reaches(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + host["abstract"])


@attempt("connect to a socket in the host's files")
def _(host):
    return reaches(socket.AF_UNIX, socket.SOCK_STREAM, host["socket"])


@attempt("attach System V memory of the host")
def _(host):
    found = libc.shmget(host["sysv_key"], 0, 0)
    if found < 0:
        raise OSError(ctypes.get_errno(), "shmget")
    return True


@attempt("open POSIX memory of the host")
def _(host):
    return read("/dev/shm/" + host["shm"])


plain("mq_open", b"lambent", os.O_CREAT | os.O_RDWR, 0o600, 0)


def nobody_answers(addresses):
    answered = []
    for address, port in addresses:
        try:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            if got := reaches(family, socket.SOCK_STREAM, (address, port)):
                answered.append((address, port, got[:40].decode("latin1")))
        except OSError:
            pass
    return answered


@attempt("reach a port of the host's loopback")
def _(host):
    names = ["127.0.0.1", "127.0.0.2", "127.1.2.3", "localhost", "0.0.0.0", "::1", "::ffff:127.0.0.1", "::"]
    return nobody_answers([(name, port) for name in names for port in host["ports"]])


@attempt("reach the host's own addresses")
def _(host):
    return nobody_answers([(address, port) for address in host["addresses"] for port in host["ports"]])


@attempt("reach the host through the way out itself")
def _(host):
    # The listener that everything leaving arrives at, asked directly: it must not dial back to the host.
    return nobody_answers([("127.0.0.1", 1), ("127.0.0.1", 53), ("10.0.0.2", host["ports"][0])])


@attempt("reach metadata and link-local addresses")
def _(host):
    targets = ["169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.0.1", "fd00:ec2::254", "fd00:ec2::23", "fe80::1", "100.100.100.200", "fd20:ce::254", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe"]
    return nobody_answers([(target, 80) for target in targets])


@attempt("metadata by its other spellings")
def _(host):
    found = []
    for name in ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "metadata.google.internal", "instance-data.ec2.internal"]:
        try:
            found += nobody_answers([(socket.getaddrinfo(name, 80, socket.AF_INET)[0][4][0], 80)])
        except OSError:
            pass
    return found


@attempt("reach what is broadcast and multicast")
def _(host):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sent = []
    for address in ["255.255.255.255", "224.0.0.251", "239.255.255.250"]:
        try:
            one.sendto(b"x", (address, 5353))
            sent.append(address)
        except OSError:
            pass
    return sent


@attempt("talk to the host's kernel by datagrams to its ports")
def _(host):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.settimeout(0.2)
    for address in ["127.0.0.1", *host["addresses"]]:
        try:
            one.sendto(b"ping", (address, host["udp"]))
            return one.recv(10)
        except OSError:
            pass
    return False


SOCKETS = {
    "raw socket": (2, 3, 1), "raw socket of TCP": (2, 3, 6), "raw IPv6 socket": (10, 3, 58), "packet socket": (17, 3, 0x300),
    "packet datagram socket": (17, 2, 0x300), "packet stream socket": (2, 10, 0x300), "netlink audit socket": (16, 3, 9), "netlink netfilter socket": (16, 3, 12), "netlink uevent socket": (16, 3, 15),
    "netlink connector socket": (16, 3, 11), "netlink generic socket": (16, 3, 16), "netlink xfrm socket": (16, 3, 6), "netlink diag socket": (16, 3, 4),
    "netlink crypto socket": (16, 3, 21), "vsock socket": (40, 1, 0), "alg socket": (38, 5, 0), "key socket": (15, 3, 2), "bluetooth socket": (31, 3, 1), "CAN socket": (29, 3, 1),
    "TIPC socket": (30, 5, 0), "XDP socket": (44, 3, 0), "SMC socket": (43, 1, 0), "kernel connection socket": (41, 2, 0), "rds socket": (21, 5, 0), "L2TP socket": (2, 2, 115), "SCTP socket": (2, 1, 132),
    "SCTP packet socket": (2, 5, 0), "DCCP socket": (2, 6, 33), "UDP-Lite socket": (2, 2, 136), "SMC over IP socket": (2, 1, 256), "multipath TCP socket": (2, 1, 262), "ping socket": (2, 2, 1),
    "IPv6 SCTP socket": (10, 1, 132), "AX.25 socket": (3, 5, 0), "X.25 socket": (9, 5, 0), "infrared socket": (23, 1, 0), "NFC socket": (39, 5, 0),
}  # fmt: skip
for name, arguments in SOCKETS.items():
    attempt(name)(lambda host, arguments=arguments: socket.socket(*arguments))


@attempt("open the network's routing socket")
def _(host):
    return socket.socket(16, 3, 0)


@attempt("change the network: addresses, routes, devices")
def _(host):
    one = socket.socket(16, 3, 0)
    one.bind((0, 0))
    done = []
    # RTM_NEWADDR, RTM_DELADDR, RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWLINK with plain bodies for loopback.
    address = struct.pack("=BBBBI", 2, 24, 0, 0, 1) + struct.pack("=HH4s", 8, 2, socket.inet_aton("192.168.7.7"))
    route = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 4, 0, 1, 0) + struct.pack("=HHI", 8, 4, 1)
    link = struct.pack("=BBHiII", 0, 0, 0, 1, 0, 1)
    for kind, body in [(20, address), (21, address), (24, route), (25, route), (16, link), (17, link)]:
        one.send(struct.pack("=IHHII", 16 + len(body), kind, 0x605, 1, 0) + body)
        if struct.unpack_from("=i", one.recv(4096), 16)[0] == 0:
            done.append(kind)
    return done


@attempt("load kernel modules by asking for devices")
def _(host):
    one, done = socket.socket(), []
    for name, request in {"SIOCGIFBR": 0x8940, "SIOCSIFBR": 0x8941, "SIOCBRADDBR": 0x89A0, "SIOCGIFVLAN": 0x8982, "SIOCSIFVLAN": 0x8983, "SIOCADDDLCI": 0x8980, "SIOCDELDLCI": 0x8981}.items():
        if libc.ioctl(one.fileno(), ctypes.c_ulong(request), ctypes.create_string_buffer(256)) >= 0 or ctypes.get_errno() != errno.EPERM:
            done.append(name)
    return done


@attempt("bind the platform's ports")
def _(host):
    bound = []
    for port in [1, 53, 80, 4566, 9001]:
        for address in ["127.0.0.1", "0.0.0.0", "::"]:
            try:
                one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if ":" in address:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                one.bind((address, port))
                one.listen()
                bound.append((address, port))
            except OSError:
                pass
    return bound
