"""What an error becomes: the object that is posted, and the lines in the log."""

import os
import sys

NO_BREAK_SPACE = "\u00a0"


def report(error, marshaller):
    """Writes the error to the log; gives its type, and its object as JSON."""
    error_type, message, trace = describe(error)
    result = {"errorMessage": message, "errorType": error_type, "requestId": state.request_id or "", "stackTrace": trace}
    if isinstance(error, ImportError):
        hint(error)
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON":
        from time import gmtime, strftime

        line = {"timestamp": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime()), "level": "ERROR"}
        line.update(result)
        text = marshaller.encode(line).decode("utf-8")
    else:
        text = in_lines(error_type, message, trace)
    write(text + "\n")
    return error_type, marshaller.encode(result)


def describe(error):
    """The error's type, message, and stack from the function's first frame on."""
    if hasattr(error, "error_type") and type(error).__name__ == "Fault":
        return error.error_type, str(error), error.trace or []
    import traceback

    frames = [(f.filename, f.lineno, f.name, f.line) for f in traceback.extract_tb(error.__traceback__)]
    start = 0
    while start < len(frames) and is_ours(frames[start][0]):
        start += 1
    try:
        message = str(error)
    except Exception:
        message = "the error's own __str__ raised an error"
    return type(error).__name__, message, traceback.format_list(frames[start:] or frames)


def is_ours(filename):
    ours = filename.endswith("/bootstrap.py") or filename == os.path.join(os.path.dirname(__file__), "streams.py")
    return ours or filename.startswith("<frozen importlib")


def in_lines(error_type, message, trace):
    """One log event: its lines are parted by carriage returns, and indented so that nobody trims them."""
    lines = ["[ERROR] " + error_type + (": " + message if message else ""), "Traceback (most recent call last):"]
    for element in trace:
        for line in element.splitlines():
            rest = line.lstrip(" ")
            lines.append(NO_BREAK_SPACE * (len(line) - len(rest)) + rest)
    return "\r".join(lines).replace("\n", "\r")


def hint(error):
    """Says how to get what the managed runtime would have brought."""
    missing = (getattr(error, "name", None) or "").partition(".")[0]
    if missing in state.sdk and not getattr(error, "hinted", False):
        error.hinted = True
        write(
            "Lambent: %s is part of AWS's managed runtime and not of this interpreter: add boto3 to requirements.txt; lambent "
            "deploy installs it. Or install it for all functions: %s -m pip install boto3\n" % (missing, sys.executable)
        )


def write(text):
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except Exception:
        os.write(1, text.encode("utf-8", "backslashreplace"))
