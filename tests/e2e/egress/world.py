"""The world behind the host: an internet host, one of the local network, a metadata service, resolvers and a mail server.

Runs in a network namespace of its own and serves until it is killed. Arguments: certificate, key, folder for mail.
"""

import asyncio
import http.server
import pathlib
import ssl
import socket
import struct
import sys
import threading

from aiosmtpd.controller import Controller
from dnslib import AAAA, QTYPE, RCODE, RR, TXT, A
from dnslib.server import BaseResolver, DNSLogger, DNSServer

INTERNET, LAN, METADATA, ALIBABA, RESOLVER = "203.0.113.10", "192.168.77.2", "169.254.169.254", "100.100.100.200", "198.51.100.1"
NAMES = {
    "api.example.test": [INTERNET],
    "two.example.test": [INTERNET, LAN],
    "nas.example.test": [LAN],
    "metadata.example.test": [METADATA],
    "host.example.test": ["198.51.100.2"],
}
PARALLEL = 200


class Resolver(BaseResolver):
    """Knows a few names; what it knows of long.example.test does not fit a datagram."""

    def resolve(self, request, handler):
        answer, name = request.reply(), str(request.q.qname).rstrip(".").lower()
        kind = QTYPE[request.q.qtype]
        if name in NAMES:
            if kind == "A":
                for address in NAMES[name]:
                    answer.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=5))
            if kind == "AAAA":
                answer.add_answer(RR(request.q.qname, QTYPE.AAAA, rdata=AAAA("2001:db8::1"), ttl=5))
        elif name == "text.example.test" and kind == "TXT":
            answer.add_answer(RR(request.q.qname, QTYPE.TXT, rdata=TXT("v=spf1 -all"), ttl=5))
        elif name == "long.example.test" and kind == "TXT":
            for at in range(50):
                answer.add_answer(RR(request.q.qname, QTYPE.TXT, rdata=TXT(f"{at:0>200}"), ttl=5))
        else:
            answer.header.rcode = RCODE.NXDOMAIN
        return answer


class Barrier:
    """Lets nobody go on before many are here at once."""

    def __init__(self):
        self.barrier = threading.Barrier(PARALLEL)

    def wait(self):
        self.barrier.wait(timeout=60)


BARRIER = Barrier()
CHUNK = bytes(range(256)) * 256


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/bytes/"):
            left = int(self.path.rsplit("/", 1)[1])
            self.send_response(200)
            self.send_header("Content-Length", str(left))
            self.end_headers()
            while left > 0:
                left -= self.wfile.write(CHUNK[: min(left, len(CHUNK))])
        elif self.path == "/together":
            BARRIER.wait()
            self.answer(b"together")
        elif self.path == "/half":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
        elif self.path == "/reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        else:
            self.answer(f"{self.server.server_address[0]} {self.path}".encode())

    def do_POST(self):
        left, last, right = int(self.headers["Content-Length"]), 0, True
        while left > 0:
            piece = self.rfile.read(min(left, 1 << 16))
            at = last % len(CHUNK)
            right &= piece == (CHUNK + CHUNK)[at : at + len(piece)]
            left, last = left - len(piece), last + len(piece)
        self.answer(f"{last} {right}".encode())


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


class Mail:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    async def handle_DATA(self, server, session, envelope):
        (self.folder / "mail").write_bytes(envelope.mail_from.encode() + b"\n" + envelope.content)
        return "250 kept"


class Echo(threading.Thread):
    """Answers only once the client has ended its half."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.listener = socket.create_server(address)

    def run(self):
        while True:
            stream, _ = self.listener.accept()
            with stream:
                whole = b"".join(iter(lambda: stream.recv(4096), b""))
                stream.sendall(whole[::-1])


def main(certificate, key, mail):
    for address in (INTERNET, LAN, METADATA, ALIBABA):
        threading.Thread(target=Server((address, 80), Web).serve_forever, daemon=True).start()
    secure = Server((INTERNET, 443), Web)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    Echo((INTERNET, 7)).start()
    quiet = DNSLogger("-request,-reply,-truncated,-error")
    for tcp in (False, True):
        DNSServer(Resolver(), address=RESOLVER, port=53, tcp=tcp, logger=quiet).start_thread()
    Controller(Mail(mail), hostname=INTERNET, port=2525).start()
    print("ready", flush=True)
    asyncio.run(asyncio.sleep(1e9))


main(*sys.argv[1:])
