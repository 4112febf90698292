"""Gives Python's loader the bytecode that the platform has compiled of a function's code and layers (see compile.py).

The loader asks for a bytecode file where none lies, or one that is out of date, and is handed what was compiled; what it does
with it, and what a module knows of itself, is as if it had compiled the source. No file appears beside the sources.
"""

import marshal
import os
from _frozen_importlib_external import SourceFileLoader

# The flags of bytecode whose source is compared before it is used.
CHECKED = (3).to_bytes(4, "little")


def table(path):
    """Where what lies in an archive: by the path below the folder it was made of."""
    archive = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(archive).st_size
        if size < 8:
            return {}
        length = int.from_bytes(os.pread(archive, 8, size - 8), "little")
        return marshal.loads(os.pread(archive, length, size - 8 - length))
    finally:
        os.close(archive)


def read(path, offset, length):
    # Opened each time: a descriptor that stays open is the function's to close, or to mistake for its own.
    archive = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(archive, length, offset)
    finally:
        os.close(archive)


def install(folder, names, task="/var/task/", opt="/opt/"):
    """`names` are the archives in the folder: `task` is the code's, `opt0` and so on are those of layers in their order."""
    # Once a block of this size was given back, the C library keeps smaller ones instead of having them mapped anew each time
    # (mallopt(3), M_MMAP_THRESHOLD). A compiler would have seen to that, and a handler that works on arrays feels it at each event.
    bytearray(1 << 20)
    of_task, of_opt = {}, {}
    for name in sorted(names):
        path = os.path.join(folder, name)
        known = of_task if name == "task" else of_opt
        for below, (offset, length) in table(path).items():
            known[below] = (path, offset, length)
    as_it_is, task_length, opt_length = SourceFileLoader.get_data, len(task), len(opt)

    def get_data(self, path):
        # A loader of the function's own may make something else of the source.
        if type(self) is SourceFileLoader and type(path) is str and path.endswith(".pyc"):
            if path.startswith(task):
                found = of_task.get(path[task_length:])
                if found:
                    return read(*found)
            elif path.startswith(opt):
                found = of_opt.get(path[opt_length:])
                if found:
                    data = read(*found)
                    # A layer may cover a file of another one.
                    return data[:4] + CHECKED + data[8:]
        return as_it_is(self, path)

    SourceFileLoader.get_data = get_data
