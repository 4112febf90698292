"""Compiles Python files that lie in a folder, so that those who import them need not, and hands the bytecode in.

It runs in a sandbox of its own, which has that folder and nothing else of a function: no variables, no role, no way
out. Of the files nothing is executed; a parser that can be tricked is tricked in here.

Handed in are whole bytecode files (PEP 552), one after the other; behind them a marshalled dict from where Python would look for
each, below the folder, to its offset and length; and at the end the length of that dict, eight bytes, little-endian. Files whose
bytecode the folder itself holds are left out, and so are those that do not compile, or not without a warning: what Python says of
them at each start, it shall go on saying.

Arguments: the folder; the seconds after which it hands in what it has, and the most bytes it may hand in.
"""

import marshal
import os
import sys
import warnings
from importlib.machinery import SourceFileLoader
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from time import monotonic

# The flags of bytecode that is known by a hash of its source, which is not compared at each import.
UNCHECKED = (1).to_bytes(4, "little")


class Loader(SourceFileLoader):
    """Python's own, which says what it had to compile."""

    made = None

    def source_to_code(self, data, path, *more, **named):
        code = SourceFileLoader.source_to_code(self, data, path, *more, **named)
        self.made = MAGIC_NUMBER + UNCHECKED + source_hash(data) + marshal.dumps(code)
        return code


def sources(root):
    """The Python files below a folder, in order. Links are not followed: a file has one name here."""
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            if name.endswith(".py") and not os.path.islink(path):
                yield path


def compiled(path):
    """The bytecode file of a source; none where the folder has it, or there can be none."""
    loader = Loader(path, path)
    try:
        loader.get_code(path)
    except Exception:
        return None
    return loader.made


def gather(root, seconds, most_bytes):
    """The bytecode of all that has none, as far as time and room reach."""
    end, pieces, index, offset = monotonic() + seconds, [], {}, 0
    for path in sources(root):
        if monotonic() > end:
            break
        made = compiled(path)
        if made is None:
            continue
        if offset + len(made) > most_bytes:
            break
        index[cache_from_source(path)[len(root) + 1 :]] = (offset, len(made))
        pieces.append(made)
        offset += len(made)
    if index:
        table = marshal.dumps(index)
        pieces += [table, len(table).to_bytes(8, "little")]
    return pieces


def hand_in(pieces):
    import socket

    address = os.environ["AWS_LAMBDA_RUNTIME_API"]
    host, _, port = address.rpartition(":")
    where = "/snapshot" if pieces else "/snapshot/none"
    pieces = pieces or [b"nothing is left to be compiled"]
    head = "POST /2018-06-01/runtime%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall((head % (where, address, sum(map(len, pieces)))).encode())
        for piece in pieces:
            connection.sendall(piece)
        connection.recv(65536)


def main():
    root, seconds, most_bytes = sys.argv[1:]
    os.nice(19)
    sys.dont_write_bytecode = True
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", SyntaxWarning)
    hand_in(gather(root, int(seconds), int(most_bytes)))


if __name__ == "__main__":
    main()
