"""What the tests of examples share."""

import os
import sys

from platform_under_test import BINARY, ROOT


def setup(platform, example, *arguments, **environment):
    """Runs an example's own script; what it says."""
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    done = platform.cli(
        str(ROOT / "examples" / example / "setup.sh"),
        *arguments,
        program=["sh"],
        environment={"LAMBENT": str(BINARY), "PATH": path, **environment},
    )
    return done.stdout


def line(said, word):
    """The rest of the line that begins with a word."""
    return next(one.removeprefix(f"{word} ") for one in said.splitlines() if one.startswith(f"{word} "))
