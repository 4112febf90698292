"""Lambda's handler on the root logger."""

import os
import sys
import time

# The attributes every record has; others came with `extra`.
USUAL = frozenset(
    "name msg args levelname levelno pathname filename module exc_info exc_text stack_info lineno funcName created msecs "
    "relativeCreated thread threadName processName process taskName aws_request_id tenant_id _frame_type".split()
)


class Sink:
    """Where log lines go."""

    def log(self, msg, frame_type=None):
        sys.stdout.write(msg)


# The module that has the handler, and the handler.
INSTALLED = []


def install(logging):
    """Called when `logging` is there, and again when the function is known."""
    if INSTALLED[:1] != [logging]:
        INSTALLED[:] = logging, handler_of(logging)
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON":
        INSTALLED[1].setFormatter(json_formatter(logging))
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = {"TRACE": "DEBUG"}.get(level, level)
    if level in logging._nameToLevel:
        logging.getLogger().setLevel(level)


def handler_of(logging):
    """Lambda's, added to the root logger."""
    logging.Formatter.converter = time.gmtime

    class LambdaLoggerHandler(logging.Handler):
        def __init__(self, log_sink):
            logging.Handler.__init__(self)
            self.log_sink = log_sink

        def emit(self, record):
            try:
                # One event, one line: what is parted by newlines within is parted by carriage returns.
                self.log_sink.log(self.format(record).rstrip("\n").replace("\n", "\r") + "\n")
            except Exception:
                self.handleError(record)

    class LambdaLoggerFilter(logging.Filter):
        def filter(self, record):
            record.aws_request_id = state.request_id or ""
            record.tenant_id = state.tenant_id
            return True

    handler = LambdaLoggerHandler(Sink())
    line = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
    handler.setFormatter(logging.Formatter(line, "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(LambdaLoggerFilter())
    logging.getLogger().addHandler(handler)
    return handler


def json_formatter(logging):
    import json

    encode = json.JSONEncoder(ensure_ascii=False, default=str).encode

    class JsonFormatter(logging.Formatter):
        def format(self, record):
            import traceback

            record.levelno = min(50, max(0, record.levelno)) // 10 * 10
            record.levelname = logging.getLevelName(record.levelno)
            whole = isinstance(record.msg, dict) and not record.args
            line = {
                "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
                "level": record.levelname,
                "message": record.msg if whole else record.getMessage(),
                "logger": record.name,
                "requestId": record.aws_request_id,
                "tenantId": record.tenant_id,
            }
            if record.exc_info and record.exc_info[0]:
                kind, error, stack = record.exc_info
                line["stackTrace"] = traceback.format_tb(stack)
                line["errorType"] = kind.__name__
                line["errorMessage"] = str(error)
                line["location"] = "%s:%s:%s" % (record.pathname, record.funcName, record.lineno)
            for name, value in record.__dict__.items():
                if name not in USUAL and name not in line:
                    line[name] = value
            return encode({name: value for name, value in line.items() if value is not None})

    return JsonFormatter()
