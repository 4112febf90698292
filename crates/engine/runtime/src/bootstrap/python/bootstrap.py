"""Runs a Python function: takes events from the Lambda Runtime API, calls the handler, posts what came of it.

Behaves as AWS's managed runtimes for Python 3.8 to 3.14 do. Only what every cold start needs is here and imported here;
what serves errors, logging and streamed responses lies beside it (faults.py, logs.py, streams.py) and is loaded at its
first use. Started with -S, so that
the host's site-packages are not the function's.

With the argument `ahead` it is started before its function is known: it makes itself ready, says so and waits (see
`wait_for_function`). With `zygote` it forks children that do (zygote.py). With `sdk` behind either it is for functions
that use boto3 (sdk.py).

The variable `_LAMBENT_SNAPSHOT`, which no function sees, asks for a snapshot after INIT (`take`, see snapshot.py) or says
that there is one to be restored instead of INIT (`restore`, see restore.py).
"""

import os
import sys
from time import time, tzset

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_PIECES = {}
# The modules that were imported before the function was known.
_AHEAD = set()


def piece(name):
    """Loads a file that lies beside this one. It is not found by the function's own imports."""
    if name not in _PIECES:
        path = os.path.join(_FOLDER, name + ".py")
        scope = {"__name__": "lambent_" + name, "__file__": path, "piece": piece, "state": state}
        with open(path, "rb") as file:
            exec(compile(file.read(), path, "exec"), scope)
        _PIECES[name] = scope
    return _PIECES[name]


class State:
    """What the pieces share."""

    request_id = None
    tenant_id = None
    # What the managed runtimes bring and an interpreter does not: boto3 and what it is made of.
    sdk = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")


state = State()


class Fault(Exception):
    """An error of the runtime's own: its type is one of the documented `Runtime.…` names."""

    def __init__(self, error_type, message, trace=None):
        Exception.__init__(self, message)
        self.error_type = error_type
        self.trace = trace


class CognitoIdentity(object):
    __slots__ = ["cognito_identity_id", "cognito_identity_pool_id"]

    def __init__(self, fields):
        self.cognito_identity_id = fields.get("cognitoIdentityId")
        self.cognito_identity_pool_id = fields.get("cognitoIdentityPoolId")

    def __repr__(self):
        return _shown(self, self.__slots__)


class Client(object):
    __slots__ = ["installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"]

    def __init__(self, fields):
        for name in self.__slots__:
            setattr(self, name, fields.get(name))

    def __repr__(self):
        return _shown(self, self.__slots__)


class ClientContext(object):
    __slots__ = ["custom", "env", "client"]

    def __init__(self, fields):
        self.custom = fields.get("custom")
        self.env = fields.get("env")
        client = fields.get("client")
        self.client = None if client is None else Client(client)

    def __repr__(self):
        return _shown(self, self.__slots__)


class LambdaContext(object):
    """What the handler gets as its second argument."""

    @classmethod
    def describe(cls):
        """What is the same for all events."""
        cls.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        cls.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        cls.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        cls.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        cls.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")

    def __init__(self, headers):
        self.aws_request_id = headers.get("lambda-runtime-aws-request-id")
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        client_context = _json_header(headers, "lambda-runtime-client-context", "Client Context")
        self.client_context = None if client_context is None else ClientContext(client_context)
        identity = _json_header(headers, "lambda-runtime-cognito-identity", "Cognito Identity")
        self.identity = CognitoIdentity(identity or {})
        self._epoch_deadline_time_in_ms = int(headers.get("lambda-runtime-deadline-ms", 0))

    def get_remaining_time_in_millis(self):
        return max(0, self._epoch_deadline_time_in_ms - int(time() * 1000))

    def log(self, msg):
        sys.stdout.write(str(msg))

    def __repr__(self):
        names = ["aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb"]
        names += ["function_version", "invoked_function_arn", "client_context", "identity", "tenant_id"]
        return _shown(self, names)


def _shown(thing, names):
    fields = ",".join("%s=%s" % (name, getattr(thing, name)) for name in names)
    return "%s([%s])" % (type(thing).__name__, fields)


def _json_header(headers, name, called):
    text = headers.get(name)
    if not text:
        return None
    try:
        return json.loads(text)
    except Exception as error:
        message = "Unable to parse %s JSON: %s" % (called, error)
        raise Fault("Runtime.LambdaContextUnmarshalError", message)


# How long one wait for the platform takes at most; then it begins anew. poll(2) counts milliseconds in 31 bits.
LINE_WAIT_S = 86400 * 20


class Channel:
    """The Runtime API over one kept-alive connection: `line`, where there is that descriptor. After a restore it is opened
    anew."""

    def __init__(self, address, line=None):
        import _socket

        if line is None:
            host, _, port = address.rpartition(":")
            self.socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
            self.socket.connect((host, int(port)))
            self.socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        else:
            self.socket = _socket.socket(fileno=line)
            # With a time limit the interpreter waits by poll(2). Who waits in recv(2) of a Unix socket is also woken by
            # every read at the other end.
            self.socket.settimeout(LINE_WAIT_S)
        self.timeout = _socket.timeout
        self.pending = b""
        self.host = host = (" HTTP/1.1\r\nHost: %s\r\n" % address).encode()
        self.get_next = b"GET /2018-06-01/runtime/invocation/next" + host + b"\r\n"
        self.get_restore = b"GET /2018-06-01/runtime/restore/next" + host + b"\r\n"
        self.line_end = host + b"Content-Length: %d\r\n"

    def send(self, data):
        self.socket.sendall(data)

    def answer_request(self, request_id, body):
        """The answer to an event. The next event is asked for in the same breath."""
        head = b"POST /2018-06-01/runtime/invocation/" + request_id.encode() + b"/response"
        return head + self.line_end % len(body) + b"\r\n" + body + self.get_next

    def error_request(self, where, error_type, body):
        head = b"POST /2018-06-01/runtime/" + where + self.line_end % len(body)
        return head + b"Lambda-Runtime-Function-Error-Type: " + self.header_value(error_type) + b"\r\n\r\n" + body

    @staticmethod
    def header_value(text):
        return text.encode("ascii", "replace").replace(b"\r", b" ").replace(b"\n", b" ")

    def recv(self, size):
        while True:
            try:
                return self.socket.recv(size)
            except self.timeout:
                pass

    def receive(self):
        """Reads one answer: its status, its headers by lower-case name, its body."""
        pending, recv = self.pending, self.recv
        end = pending.find(b"\r\n\r\n")
        while end < 0:
            data = recv(65536)
            if not data:
                # The platform has gone, and with it the reason to be.
                os._exit(1)
            pending += data
            end = pending.find(b"\r\n\r\n")
        lines = pending[:end].decode("utf-8", "replace").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        start, length = end + 4, int(headers.get("content-length", 0))
        missing = start + length - len(pending)
        if missing > 0:
            parts = [pending]
            while missing > 0:
                data = recv(min(missing, 1 << 20))
                if not data:
                    os._exit(1)
                parts.append(data)
                missing -= len(data)
            pending = b"".join(parts)
        self.pending = pending[start + length :]
        return int(lines[0][9:12]), headers, pending[start : start + length]


class Marshaller:
    """JSON as the managed runtimes write it."""

    def __init__(self):
        # Runtimes before Python 3.12 escape what is not ASCII.
        version = os.environ.get("AWS_EXECUTION_ENV", "").rpartition("python3.")[2]
        self.ascii = version.isdigit() and int(version) < 12
        self.encode_plain = json.JSONEncoder(ensure_ascii=self.ascii, default=self.convert).encode
        self.saw_decimal = False

    def convert(self, value):
        """Called for what JSON does not know."""
        if isinstance(value, (bytes, bytearray)):
            return value.decode("utf-8")
        decimal = sys.modules.get("decimal")
        if decimal is not None and isinstance(value, decimal.Decimal):
            if value.is_nan():
                return float("nan")
            # The number goes out digit by digit, which only the slower way of `encode` can do.
            self.saw_decimal = True
            return piece("decimals")["Digits"](value)
        raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)

    def encode(self, value):
        self.saw_decimal = False
        text = self.encode_plain(value)
        if self.saw_decimal:
            text = piece("decimals")["encode"](value, self.convert, self.ascii)
        return text.encode("utf-8")

    def response(self, value):
        if isinstance(value, bytes):
            return value
        try:
            return self.encode(value)
        except Exception as error:
            raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error)

    def event(self, body):
        try:
            return json.loads(body.decode("utf-8"))
        except Exception as error:
            raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error)


def find_handler(name):
    """The function that `module.function` names. The module may stand in folders: `folder/module.function`."""
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        message = "Bad handler '%s': not enough values to unpack (expected 2, got 1)" % name
        raise Fault("Runtime.MalformedHandlerName", message)
    if module_name.split(".")[0] in sys.builtin_module_names:
        message = "Cannot use built-in module %s as a handler module" % module_name
        raise Fault("Runtime.BuiltInModuleConflict", message)
    try:
        path = module_name.replace("/", ".")
        __import__(path)
        module = sys.modules[path]
    except ImportError as error:
        piece("faults")["hint"](error)
        raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, error))
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        raise Fault("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module_name, error), trace)
    except (ValueError, KeyError) as error:
        # An empty name, or one that begins with a dot or slash.
        if path and not path.startswith("."):
            raise
        raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, error))
    try:
        return getattr(module, function_name)
    except AttributeError:
        message = "Handler '%s' missing on module '%s'" % (function_name, module_name)
        raise Fault("Runtime.HandlerNotFound", message)


class LoggingWatch:
    """Sets Lambda's log handler up when `logging` is first imported: most of a small function's start would else be that."""

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                self.loader, spec.loader = spec.loader, self
                return spec
        return None

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        piece("logs")["install"](module)


class Brought:
    """Finds the SDK among the packages that the interpreter's owner has installed, when it is nowhere else. No other of
    those is the function's."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if path is not None or name not in State.sdk:
            return None
        from importlib.machinery import PathFinder

        version = sys.version_info[:2]
        folders = [os.path.join(sys.prefix, "lib/python%d.%d/site-packages" % version)]
        if sys.prefix == "/usr":
            # Where Debian's keeps what pip and the distribution install.
            folders += ["/usr/local/lib/python%d.%d/dist-packages" % version, "/usr/lib/python3/dist-packages"]
        return PathFinder.find_spec(name, folders)


def prepare():
    """Makes the interpreter what the managed runtime is."""
    import builtins

    sys.dont_write_bytecode = True
    set_streams()
    builtins.exit = builtins.quit = sys.exit
    root = os.environ.get("LAMBDA_TASK_ROOT", "/var/task")
    site = "/opt/python/lib/python%d.%d/site-packages" % sys.version_info[:2]
    # The first is this file's folder.
    sys.path[:1] = [root, site, "/opt/python"]
    make_way(sys.path[:3])
    use_bytecode()
    # What the managed runtimes bring; what the function brings wins.
    sys.path.append(os.path.join(_FOLDER, "runtime"))
    if Brought not in sys.meta_path:
        sys.meta_path.append(Brought)
    sys.argv[:] = [os.path.join(_FOLDER, "bootstrap.py")]
    logging = sys.modules.get("logging")
    if logging is None:
        sys.meta_path.insert(0, LoggingWatch())
    else:
        # As if it had been imported just now.
        logging._startTime = type(logging._startTime)(time() * (1e9 if isinstance(logging._startTime, int) else 1))
        piece("logs")["install"](logging)


def set_streams():
    """Whole lines go out at once; the rest is flushed before an answer is sent."""
    for stream in (sys.stdout, sys.stderr):
        if stream.encoding != "utf-8" or not stream.line_buffering:
            stream.reconfigure(encoding="utf-8", line_buffering=True)


def make_way(folders):
    """What the function brings wins over what was imported before it was known."""
    for folder in folders if _AHEAD else ():
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        brought = {name.partition(".")[0] for name in names} & _AHEAD
        # Without need nothing of the modules is touched: to count references is to write.
        for name in list(sys.modules) if brought else ():
            if name.partition(".")[0] in brought:
                del sys.modules[name]


# Where the platform shows what it has compiled of the function's code, and of its layers in their order. The folder cannot be listed.
BYTECODE = "/var/lang/bytecode"
COMPILED = ("task", "opt0", "opt1", "opt2", "opt3", "opt4")


def use_bytecode():
    """Lets imports find what the platform has compiled, if it has."""
    if sys.warnoptions:
        # What Python says of a source when it compiles it is wanted.
        return
    names = []
    for name in COMPILED:
        try:
            # A file without bytes is the place of one that this function does not have.
            if os.stat(BYTECODE + "/" + name).st_size:
                names.append(name)
        except OSError:
            pass
    try:
        if names:
            piece("bytecode")["install"](BYTECODE, names)
    except Exception:
        # With one that is damaged everything is compiled as ever.
        pass


def warm_up():
    """Makes ready what every function needs. What is imported here is what the managed runtimes have imported before a
    handler's module."""
    before = set(sys.modules)
    import _socket, datetime, decimal, json, json.decoder, json.encoder, logging, traceback

    set_streams()
    piece("faults")
    piece("logs")["install"](logging)
    if "sdk" in sys.argv:
        sys.meta_path.append(Brought)
        piece("sdk")["warm_up"]()
    if "zygote" in sys.argv:
        piece("zygote")
        piece("bytecode")
        piece("restore")
        piece("thrift")
    _AHEAD.update(name for name in set(sys.modules) - before if "." not in name)


def wait_for_function():
    """Says that it is ready, with its pid, and waits for a function. Its folder and its variables come on the standard
    input, each ended by a NUL byte, and after them an empty one. Answers a descriptor of that socket: the Runtime API is
    spoken over it."""
    os.write(0, b"%d keeps\n" % os.getpid())
    if "thrift" in _PIECES:
        piece("thrift")["rehearse_once_more"]()
    words = b""
    while not words.endswith(b"\0\0"):
        data = os.read(0, 65536)
        if not data:
            # The platform has gone.
            os._exit(0)
        words += data
    line = os.dup(0)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    become(words[:-1].split(b"\0"))
    return line


def become(words):
    """Becomes whom the words name: a folder to work in, then variables, then nothing."""
    # Set by the interpreter where the host lacks the locale.
    coerced = os.environ.get("LC_CTYPE")
    os.environ.clear()
    if coerced is not None:
        os.environ["LC_CTYPE"] = coerced
    for word in words[1:-1]:
        name, _, value = word.partition(b"=")
        os.environb[name] = value
    tzset()
    os.chdir(words[0])


def serve(handler, channel, marshaller):
    """Handles one event after the other, for ever."""
    stdout, stderr = sys.stdout, sys.stderr
    trace_before = None
    channel.send(channel.get_next)
    while True:
        status, headers, body = channel.receive()
        if status != 200:
            if status >= 300:
                sys.stderr.write("The answer was refused: %s\n" % body.decode("utf-8", "replace"))
            continue
        request_id = state.request_id = headers["lambda-runtime-aws-request-id"]
        state.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        trace = headers.get("lambda-runtime-trace-id")
        if trace != trace_before:
            if trace is None:
                os.environ.pop("_X_AMZN_TRACE_ID", None)
            else:
                os.environ["_X_AMZN_TRACE_ID"] = trace
            trace_before = trace
        try:
            context = LambdaContext(headers)
            answer = handler(marshaller.event(body), context)
            if hasattr(answer, "__next__"):
                request = piece("streams")["stream"](channel, request_id, answer, marshaller)
            else:
                request = channel.answer_request(request_id, marshaller.response(answer))
        except Exception as error:
            kind, answer = piece("faults")["report"](error, marshaller)
            where = b"invocation/" + request_id.encode() + b"/error"
            request = channel.error_request(where, kind, answer) + channel.get_next
        # The function may have put another stream there, or closed this one.
        for stream in (stdout, stderr) if sys.stdout is stdout else (sys.stdout, stdout, stderr):
            try:
                stream.flush()
            except Exception:
                pass
        # What is sent is not kept while the next event is waited for.
        context = answer = body = None
        channel.send(request)
        request = None


def main():
    global json
    ahead = sys.argv[1:]
    line = None
    if ahead:
        warm_up()
        if ahead[0] == "zygote":
            piece("zygote")["serve"]()
        line = wait_for_function()
    snapshot = os.environ.pop("_LAMBENT_SNAPSHOT", None)
    if snapshot == "restore":
        piece("restore")["restore"]()
        # It came back: what follows is an INIT like any other.
        os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "on-demand"
    elif snapshot == "take":
        piece("snapshot")["stand_apart"]()
    prepare()
    import json

    LambdaContext.describe()
    # Before the function's code: it may change the environment.
    channel = Channel(os.environ["AWS_LAMBDA_RUNTIME_API"], line)
    marshaller = Marshaller()
    try:
        handler = find_handler(os.environ["_HANDLER"])
    except Exception as error:
        kind, body = piece("faults")["report"](error, marshaller)
        sys.stdout.flush()
        channel.send(channel.error_request(b"init/error", kind, body))
        channel.receive()
        sys.exit(1)
    if snapshot == "take":
        piece("snapshot")["take"](channel, marshaller)
    serve(handler, channel, marshaller)


if __name__ == "__main__":
    main()
