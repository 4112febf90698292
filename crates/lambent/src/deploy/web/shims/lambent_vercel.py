"""Serves a folder as Vercel has it on $PORT: functions of `api` (`class handler(BaseHTTPRequestHandler)`, or a WSGI application `app`),
static files, and the rules of vercel.json, all by the table in lambent_vercel.json."""

import hashlib
import http.cookies
import importlib.util
import io
import json
import mimetypes
import os
import re
import socketserver
import sys
import threading
import traceback
import urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer
from wsgiref.handlers import SimpleHandler

ROOT = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(ROOT, "lambent_vercel.json")) as file:
    TABLE = json.load(file)
for rules in ("redirects", "headers", "rewrites", "functions"):
    TABLE.setdefault(rules, [])
    for rule in TABLE[rules]:
        rule["source"] = re.compile(rule["source"])
loaded, loading = {}, threading.Lock()
LARGEST_BODY = 256 << 20


class Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Front(BaseHTTPRequestHandler):
    """Reads a request's head and decides who answers it."""

    rules_headers = ()

    def handle(self):
        # One request for each connection, as HTTP/1.0 has it.
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
        elif self.parse_request():
            self.route()

    def log_message(self, format, *arguments):
        pass

    def route(self):
        if self.headers.get("transfer-encoding", "").strip().lower() == "chunked" and not self.put_together():
            return
        # Older versions of Python leave two slashes at the beginning, which a browser would take for a host.
        self.path = re.sub("^/{2,}", "/", self.path)
        path, _, query = self.path.partition("?")
        for location, status in self.moved(path, query):
            return self.reply(status, b"", [("Location", location)])
        self.rules_headers = [
            (fill(key, values), fill(value, values))
            for rule in TABLE["headers"]
            for values in [self.matches(rule, path, query)]
            if values is not None
            for key, value in rule["headers"]
        ]
        if self.serve(path, []):
            return
        parameters = []
        for rule in TABLE["rewrites"]:
            values = self.matches(rule, path, query)
            if values is None:
                continue
            to, _, more = rule["to"].partition("?")
            used = any(name in names_in(to) for name in values)
            plain = {name: urllib.parse.unquote(value) for name, value in values.items()}
            parameters += [(key, fill(value, plain)) for key, value in urllib.parse.parse_qsl(more, keep_blank_values=True)]
            # What the path does not use goes along as parameters.
            parameters += [] if used else [(name, value) for name, value in plain.items() if not name.isdigit()]
            path = fill(to, values)
            if self.serve(path, parameters):
                return
        page = TABLE["static"].get("/404.html")
        if page:
            return self.static(page, 404)
        self.reply(404, b"The page could not be found\n\nNOT_FOUND\n", [("Content-Type", "text/plain; charset=utf-8")])

    def put_together(self):
        """A body that comes in chunks, as one piece with a length, which functions read."""
        body = bytearray()
        while True:
            try:
                size = int(self.rfile.readline(8192).split(b";")[0], 16)
            except ValueError:
                size = -1
            if size < 0 or len(body) + size > LARGEST_BODY:
                self.reply(413 if size > 0 else 400, b"")
                return False
            if size == 0:
                break
            body += self.rfile.read(size)
            self.rfile.readline(8192)
        while self.rfile.readline(8192).strip():
            pass
        self.rfile = io.BytesIO(bytes(body))
        del self.headers["Transfer-Encoding"]
        del self.headers["Content-Length"]
        self.headers["Content-Length"] = str(len(body))
        return True

    def moved(self, path, query):
        """Where a request is sent instead, and by which status."""
        behind = f"?{query}" if query else ""
        slash = TABLE.get("slash")
        if TABLE.get("clean"):
            bare = re.sub(r"/index(?:\.html)?/?$", "/", path)
            bare = re.sub(r"\.html/?$", "", bare) if bare == path else bare
            bare = bare.rstrip("/") or "/" if not slash else bare
            if bare != path and bare.rstrip("/") != path.rstrip("/"):
                yield bare + behind, 308
        if slash is False and path != "/" and path.endswith("/"):
            yield path.rstrip("/") + behind, 308
        if slash is True and not path.startswith("/.well-known/"):
            last = path.rsplit("/", 1)[-1]
            if last and "." not in last:
                yield path + "/" + behind, 308
        for rule in TABLE["redirects"]:
            values = self.matches(rule, path, query)
            if values is not None:
                to = fill(rule["to"], values)
                yield to + (("&" + query if "?" in to else behind) if query else ""), rule["status"]

    def matches(self, rule, path, query):
        """The values of a rule's parameters, or None."""
        found = rule["source"].match(path)
        if not found or not all(self.holds(one, query) for one in rule["has"]) or any(self.holds(one, query) for one in rule["missing"]):
            return None
        values = {}
        for number, (name, value) in enumerate(zip(rule["names"], found.groups()), 1):
            values[name or str(number)] = values[str(number)] = value or ""
        return values

    def holds(self, condition, query):
        kind, key = condition["type"], condition["key"]
        if kind == "header":
            value = self.headers.get(key)
        elif kind == "host":
            value = self.headers.get("host", "").split(":")[0]
        elif kind == "query":
            value = dict(urllib.parse.parse_qsl(query, keep_blank_values=True)).get(key)
        else:
            cookies = http.cookies.SimpleCookie(self.headers.get("cookie", ""))
            value = cookies[key].value if key in cookies else None
        wanted = condition["value"]
        return value is not None and (wanted is None or re.fullmatch(wanted, value) is not None)

    def serve(self, path, parameters):
        """Whether a file or a function has this path, and answered."""
        plain = urllib.parse.unquote(path)
        for name in (plain, plain.rstrip("/") + "/index.html", plain.rstrip("/") + ".html" if TABLE.get("clean") else None):
            if name in TABLE["static"]:
                self.static(TABLE["static"][name], 200)
                return True
        for route in TABLE["functions"]:
            found = route["source"].match(path)
            if found:
                own = [(name, urllib.parse.unquote(value)) for name, value in zip(route["names"], found.groups())]
                self.call(route["file"], own + [one for one in parameters if one[0] not in dict(own)])
                return True
        return False

    def static(self, name, status):
        if self.command not in ("GET", "HEAD"):
            return self.reply(405, b"", [("Allow", "GET, HEAD")])
        with open(os.path.join(ROOT, name), "rb") as file:
            body = file.read()
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        kind += "; charset=utf-8" if kind.startswith("text/") or kind.endswith(("javascript", "json")) else ""
        headers = [("ETag", tag), ("Cache-Control", "public, max-age=0, must-revalidate")]
        if status == 200 and tag in self.headers.get("if-none-match", ""):
            return self.reply(304, b"", headers)
        self.reply(status, body, [("Content-Type", kind), *headers])

    def reply(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def end_headers(self):
        for name, value in self.rules_headers:
            self.send_header(name, value)
        super().end_headers()

    def call(self, name, parameters):
        """Has a function answer, with its parameters behind the path."""
        if parameters:
            self.path += ("&" if "?" in self.path else "?") + urllib.parse.urlencode(parameters)
        try:
            function = load(name)
            if isinstance(function, type):
                self.by_class(function)
            else:
                self.by_wsgi(function)
        except ConnectionError:
            raise
        except Exception:
            traceback.print_exc()
            if not getattr(self, "begun", False):
                self.reply(500, b"A server error has occurred\n\nFUNCTION_INVOCATION_FAILED\n", [("Content-Type", "text/plain")])

    def by_class(self, function):
        front = self

        class Answer(function):
            rules_headers = front.rules_headers

            def end_headers(self):
                front.begun = True
                for key, value in self.rules_headers:
                    self.send_header(key, value)
                super().end_headers()

            def log_message(self, format, *arguments):
                pass

        # The head is read already: what reading it would have set is handed over.
        one = Answer.__new__(Answer)
        one.__dict__.update(self.__dict__)
        method = getattr(one, "do_" + self.command, None)
        if method is None:
            return self.reply(501, b"", [("Content-Type", "text/plain")])
        method()
        one.wfile.flush()

    def by_wsgi(self, app):
        path, _, query = self.path.partition("?")
        environ = {
            "REQUEST_METHOD": self.command, "SCRIPT_NAME": self.headers.get("x-forwarded-prefix", "").rstrip("/"),
            "PATH_INFO": urllib.parse.unquote(path, "iso-8859-1"),
            "QUERY_STRING": query, "SERVER_NAME": self.server.server_name, "SERVER_PORT": str(self.server.server_port),
            "SERVER_PROTOCOL": self.request_version, "REMOTE_ADDR": self.client_address[0],
        }  # fmt: skip
        for key, value in self.headers.items():
            key = key.upper().replace("-", "_")
            key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        handler = SimpleHandler(self.rfile, self.wfile, sys.stderr, environ, multithread=True, multiprocess=False)
        handler.server_software = "lambent"
        added = self.rules_headers
        clean = handler.cleanup_headers

        def cleanup_headers():
            clean()
            for key, value in added:
                handler.headers[key] = value

        handler.cleanup_headers = cleanup_headers
        handler.run(app)


def names_in(template):
    return set(re.findall(r":(\w+)", template)) | set(re.findall(r"\$(\d)", template))


def fill(template, values):
    """A destination with its parameters put in; names that are none stay as they are. A path of ours never becomes another host's."""
    filled = re.sub(r":(\w+)[*+?]?|\$(\d)", lambda found: values.get(found[1] or found[2], found[0]), template)
    return re.sub("^/{2,}", "/", filled) if re.match("/(?!/)", template) else filled


def load(name):
    with loading:
        if name not in loaded:
            path = os.path.join(ROOT, name)
            module = "api_" + re.sub(r"\W", "_", name)
            spec = importlib.util.spec_from_file_location(module, path)
            made = importlib.util.module_from_spec(spec)
            sys.modules[module] = made
            sys.path.insert(0, os.path.dirname(path))
            try:
                spec.loader.exec_module(made)
            finally:
                sys.path.remove(os.path.dirname(path))
            loaded[name] = getattr(made, "handler", None) or getattr(made, "Handler", None) or made.app
        return loaded[name]


if __name__ == "__main__":
    sys.path.insert(0, ROOT)
    with Server(("0.0.0.0", int(os.environ["PORT"])), Front) as server:
        server.serve_forever()
