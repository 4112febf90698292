"""Serves a WSGI application on $PORT with Python's standard library alone: `lambent_wsgi.py MODULE:NAME`, or `MODULE:NAME()` for a
function that makes the application. A thread for each request; a request that comes in chunks is put together before it is handed on."""

import importlib
import os
import socketserver
import sys
import tempfile
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

# More than any request to a function may hold.
LARGEST_BODY = 256 << 20
# What is larger than this waits on disk.
IN_MEMORY = 1 << 20
LONGEST_LINE = 8192


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 1024

    def server_bind(self):
        # Without the look-up of the host's own name, for which there may be nobody to ask.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]
        self.setup_environ()

    def handle_error(self, request, client_address):
        # Who hangs up early is no error of the application.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(ServerHandler):
    http_version = "1.1"
    wsgi_run_once = False

    def cleanup_headers(self):
        super().cleanup_headers()
        # One request for each connection, which its end ends.
        self.headers["Connection"] = "close"


class Request(WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]

    def log_message(self, format, *arguments):
        pass

    def handle(self):
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
            return
        if not self.parse_request():
            return
        body, environ = self.rfile, self.get_environ()
        # Where the function stands under a path: links of the application begin with it.
        environ["SCRIPT_NAME"] = self.headers.get("x-forwarded-prefix", "").rstrip("/")
        if self.headers.get("transfer-encoding", "").strip().lower() == "chunked":
            try:
                body, length = whole(self.rfile)
            except ValueError as error:
                self.send_error(413 if "large" in str(error) else 400, str(error))
                return
            environ["CONTENT_LENGTH"] = str(length)
            environ.pop("HTTP_TRANSFER_ENCODING", None)
        handler = Handler(body, self.wfile, self.get_stderr(), environ, multithread=True, multiprocess=False)
        handler.request_handler = self
        handler.run(self.server.get_app())


def whole(rfile):
    """A body that comes in chunks, and its length."""
    body, length = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY), 0
    while True:
        size = rfile.readline(LONGEST_LINE).split(b";")[0].strip()
        try:
            size = int(size, 16)
        except ValueError:
            raise ValueError("a chunk has no size") from None
        length += size
        if size < 0 or length > LARGEST_BODY:
            raise ValueError("the body is too large")
        if size == 0:
            while rfile.readline(LONGEST_LINE).strip():
                pass
            body.seek(0)
            return body, length
        while size:
            piece = rfile.read(min(size, 65536))
            if not piece:
                raise ValueError("the body ends early")
            body.write(piece)
            size -= len(piece)
        if rfile.readline(LONGEST_LINE).strip():
            raise ValueError("a chunk is longer than its size")


def load(named):
    module, _, name = named.partition(":")
    found = getattr(importlib.import_module(module), name.removesuffix("()"))
    return found() if name.endswith("()") else found


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    with Server(("0.0.0.0", int(os.environ["PORT"])), Request, bind_and_activate=False) as server:
        server.set_app(load(sys.argv[1]))
        # Who can connect is answered: not before the application is there.
        server.server_bind()
        server.server_activate()
        server.serve_forever()
