"""Waits for a debugger where the platform says so, and then starts what is debugged: as a module that stands in for the handler's,
or as `lambent_debug.py FILE …` and `lambent_debug.py -m MODULE …` in place of `python3`."""

import importlib
import os
import runpy
import sys

# What this process starts is not debugged.
port = os.environ.pop("LAMBENT_DEBUG", None)
if port:
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    import debugpy

    debugpy.listen(("127.0.0.1", int(port)))
    debugpy.wait_for_client()

if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    sys.path[0] = os.getcwd()
    if sys.argv[0] == "-m":
        sys.argv = sys.argv[1:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
else:
    module, _, name = os.environ["LAMBENT_DEBUG_HANDLER"].rpartition(".")
    handler = getattr(importlib.import_module(module.replace("/", ".")), name)
