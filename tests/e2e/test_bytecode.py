"""Bytecode: what a function's packages do not bring is compiled once, beside everything else, and cold starts find it."""

import os
import subprocess
import time

import pytest

from platform_under_test import create, eventually, invoke, zipped

# What is compiled is said at this level.
SAYS = {"environment": {"RUST_LOG": "warn,functions=info"}}
MODULES = 300
# Some 1,200 bytes each.
MODULE = "VALUE = {n}\n" + "".join(f"\ndef f{i}(x):\n    return [x + {i}, '{{n}}', x * {i}]\n" for i in range(20))
APP = """
import os, sys
from importlib.machinery import SourceFileLoader

COMPILED, plain = [], SourceFileLoader.source_to_code

def counting(self, data, path, *more, **named):
    COMPILED.append(path)
    return plain(self, data, path, *more, **named)

SourceFileLoader.source_to_code = counting
import big
SourceFileLoader.source_to_code = plain
one = big.m7

def handler(event, context):
    return {
        "compiled": len(COMPILED), "total": big.TOTAL, "loader": type(one.__loader__).__name__, "cached": one.__cached__,
        "there": os.path.exists(one.__cached__), "listed": sorted(set(os.listdir("/var/task/big")) - {f"m{n}.py" for n in range(1000)}),
        "filename": one.f3.__code__.co_filename, "prefix": sys.pycache_prefix, "answer": one.f3(2),
        "named": [name for name in sys.modules if "bytecode" in name],
    }
"""


def package(app=APP, modules=MODULES, more=None):
    lines = [f"from . import m{n}" for n in range(modules)] + [f"TOTAL = sum(m.VALUE for m in [{', '.join(f'm{n}' for n in range(modules))}])"]
    files = {f"big/m{n}.py": MODULE.format(n=n) for n in range(modules)}
    return {"app.py": app, "big/__init__.py": "\n".join(lines), **files, **(more or {})}


def said(platform, words, name):
    """How often the platform's log says something of a function."""
    lines = open(platform.log.name, errors="replace").read().splitlines()
    return sum(words in line and f'function="{name}"' in line for line in lines)


def compiled(platform, name, times=1):
    """Waits until a function's code was compiled so often."""
    assert eventually(lambda: said(platform, "bytecode is kept", name), lambda seen: seen >= times, 60) == times, name


def kept(platform):
    """The files, by name, and their sizes."""
    folder = platform.data / "bytecode"
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def renew(functions, name, **change):
    """The next call is a cold start."""
    functions.update_function_configuration(FunctionName=name, Description=f"{time.monotonic()}", Environment={"Variables": {"AT": str(time.monotonic())}}, **change)


@pytest.mark.parametrize("rootless", [False, True])
def test_cold_starts_import_without_compiling(own_platform, rootless):
    platform = own_platform(rootless=rootless, **SAYS)
    functions = platform.client("lambda")
    create(functions, "large", package())
    first, _ = invoke(functions, "large")
    assert first["compiled"] == MODULES + 1, "a launch waits for nothing"
    compiled(platform, "large")
    renew(functions, "large")
    answer, _ = invoke(functions, "large")
    assert answer == {**first, "compiled": 0}
    assert answer["total"] == sum(range(MODULES)) and answer["answer"] == [5, "7", 6] and answer["named"] == []
    # All is as if it had been compiled: where it would lie nothing does.
    assert answer["filename"] == "/var/task/big/m7.py" and answer["loader"] == "SourceFileLoader" and answer["prefix"] is None
    assert answer["cached"].startswith("/var/task/big/__pycache__/m7.") and not answer["there"] and answer["listed"] == ["__init__.py"]
    # What is small is left alone.
    create(functions, "small", package(modules=20))
    assert invoke(functions, "small")[0]["compiled"] == 21
    # It outlasts both ends of a platform, and is not made again.
    before = kept(platform)
    assert len(before) == 1 and min(before.values()) > 100_000
    platform.stop()
    platform.start()
    assert invoke(platform.client("lambda"), "large")[0]["compiled"] == 0
    platform.kill()
    platform.start()
    functions = platform.client("lambda")
    assert invoke(functions, "large")[0]["compiled"] == 0
    assert kept(platform) == before and said(platform, "bytecode is kept", "large") == 1
    # Another function with the same code has it at once, and the last one takes it along.
    create(functions, "again", package())
    assert invoke(functions, "again")[0]["compiled"] == 0
    functions.delete_function(FunctionName="large")
    renew(functions, "again")
    assert invoke(functions, "again")[0]["compiled"] == 0
    functions.delete_function(FunctionName="again")
    assert eventually(lambda: kept(platform), lambda left: not left) == {}


def test_what_is_cut_off_leaves_nothing(own_platform):
    platform = own_platform(**SAYS)
    functions = platform.client("lambda")
    create(functions, "large", package())
    platform.kill()
    platform.start()
    assert kept(platform) == {} and not list((platform.data / "tmp").iterdir())
    functions = platform.client("lambda")
    assert invoke(functions, "large")[0]["compiled"] == MODULES + 1
    compiled(platform, "large")
    # Half of a file, or one of an interpreter that is gone, is nobody's.
    name = next(iter(kept(platform)))
    platform.stop()
    os.rename(platform.data / "bytecode" / name, platform.data / "bytecode" / (name.partition("-")[0] + "-python3.1.1"))
    (platform.data / "tmp" / "half").write_bytes(b"half of a file")
    platform.start()
    assert eventually(lambda: kept(platform), lambda left: not left) == {}
    assert not list((platform.data / "tmp").iterdir())
    assert invoke(platform.client("lambda"), "large")[0]["compiled"] == MODULES + 1
    compiled(platform, "large", 2)


# Each with what its import is to give, with and without our bytecode.
BUNDLED = """
import importlib, sys
import big

def tried(name):
    try:
        return importlib.import_module(name).VALUE
    except Exception as error:
        return type(error).__name__

def handler(event, context):
    return {name: tried(name) for name in ["valid", "unchecked", "stale", "other", "damaged", "short", "wrong", "warns", "late", "linked.x"]}
"""
PREPARE = """
import importlib.util, marshal, pathlib, py_compile, sys
folder = pathlib.Path(sys.argv[1])
def bundle(name, text, change=lambda data: data, mode=py_compile.PycInvalidationMode.CHECKED_HASH):
    source = folder / (name + ".py")
    source.write_text(text)
    made = pathlib.Path(py_compile.compile(str(source), invalidation_mode=mode))
    made.write_bytes(change(made.read_bytes()))
bundle("valid", "VALUE = 'same'")
unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
bundle("unchecked", "VALUE = 'of the bytecode'", mode=unchecked)
(folder / "unchecked.py").write_text("VALUE = 'of the source'")
bundle("stale", "VALUE = 'of the bytecode'")
(folder / "stale.py").write_text("VALUE = 'of the source'")
bundle("other", "VALUE = 'of the bytecode'", lambda data: b"\\0\\0\\r\\n" + data[4:])
(folder / "other.py").write_text("VALUE = 'of the source'")
bundle("damaged", "VALUE = 1", lambda data: data[:20] + b"\\xff" * 9, mode=unchecked)
bundle("short", "VALUE = 'of the source'", lambda data: data[:7])
"""


def test_python_decides_what_of_a_package_wins(own_platform, tmp_path):
    platform = own_platform(**SAYS)
    functions = platform.client("lambda")
    subprocess.run(["python3", "-c", PREPARE, tmp_path], check=True)
    more = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    more |= {"wrong.py": "VALUE = (", "warns.py": "VALUE = 1\nif VALUE is 1:\n    VALUE = 'with a warning'", "late.py": "VALUE = 'last'", "linked/x.py": "VALUE = 2"}
    create(functions, "bundles", package(BUNDLED, more=more))
    first, _ = invoke(functions, "bundles")
    assert first == {
        "valid": "same", "unchecked": "of the bytecode", "stale": "of the source", "other": "of the source", "damaged": first["damaged"],
        "short": "of the source", "wrong": "SyntaxError", "warns": "with a warning", "late": "last", "linked.x": 2,
    }
    assert first["damaged"] in ("ValueError", "EOFError", "TypeError")
    compiled(platform, "bundles")
    renew(functions, "bundles")
    assert invoke(functions, "bundles")[0] == first
    # A warning that Python gives at each compilation it goes on giving.
    logs = platform.client("logs")
    warned = lambda: logs.filter_log_events(logGroupName="/aws/lambda/bundles", filterPattern="SyntaxWarning")["events"]
    assert len(eventually(warned, lambda seen: len(seen) >= 2)) == 2


LAYERED = APP.replace("import big\n", "import big\n", 1).replace("/var/task/big", "/opt/python/big")


def test_layers_are_compiled_too_and_the_later_wins(own_platform):
    platform = own_platform(**SAYS)
    functions = platform.client("lambda")
    files = {f"python/{name}": text for name, text in package().items() if name != "app.py"}
    other = {"python/big/m7.py": MODULE.format(n=1007).replace("x + 3", "x + 4"), **{f"python/more/n{n}.py": MODULE.format(n=n) for n in range(MODULES)}}
    arns = [
        functions.publish_layer_version(LayerName=name, Content={"ZipFile": zipped(content)})["LayerVersionArn"]
        for name, content in [("one", files), ("two", other)]
    ]
    create(functions, "layered", {"app.py": LAYERED}, Layers=arns[:1])
    first, _ = invoke(functions, "layered")
    assert first["compiled"] == MODULES + 1 and first["answer"] == [5, "7", 6]
    compiled(platform, "layered")
    for layers, answer, total, times in [
        (arns[:1], [5, "7", 6], 0, 1), (arns, [6, "1007", 6], 1000, 2), (arns[::-1], [5, "7", 6], 0, 2), (arns, [6, "1007", 6], 1000, 2),
    ]:
        renew(functions, "layered", Layers=layers)
        # While the second layer is not compiled yet, what it covers of the first must not be taken from there.
        seen, _ = invoke(functions, "layered")
        assert (seen["answer"], seen["total"], seen["filename"]) == (answer, total + sum(range(MODULES)), "/opt/python/big/m7.py")
        compiled(platform, "layered", times)
        renew(functions, "layered")
        seen, _ = invoke(functions, "layered")
        assert (seen["answer"], seen["compiled"]) == (answer, 0)
    functions.delete_function(FunctionName="layered")
    for name in ("one", "two"):
        functions.delete_layer_version(LayerName=name, VersionNumber=1)
    assert eventually(lambda: kept(platform), lambda left: not left) == {}


def test_what_cannot_be_compiled_is_tried_once(own_platform):
    platform = own_platform(**SAYS)
    functions = platform.client("lambda")
    # A source that takes more memory to parse than a compiler has; nobody imports it.
    create(functions, "bomb", package(more={"bomb.py": "BOMB = [" + "[1], " * 6_000_000 + "]"}))
    assert invoke(functions, "bomb")[0]["compiled"] == MODULES + 1
    assert eventually(lambda: said(platform, "no bytecode is kept", "bomb"), bool, 120) == 1
    assert list(kept(platform).values()) == [0]
    renew(functions, "bomb")
    assert invoke(functions, "bomb")[0]["compiled"] == MODULES + 1
    platform.stop()
    platform.start()
    functions = platform.client("lambda")
    assert invoke(functions, "bomb")[0]["compiled"] == MODULES + 1
    # Whoever is due after it is done after it.
    create(functions, "after", package(more={"other.py": "OTHER = 1"}))
    compiled(platform, "after")
    assert said(platform, "no bytecode is kept", "bomb") == 1


def test_code_that_is_saved_again_and_again_is_compiled_once(own_platform):
    platform = own_platform(**SAYS)
    functions = platform.client("lambda")
    create(functions, "saved", package())
    for n in range(5):
        functions.update_function_code(FunctionName="saved", ZipFile=zipped(package(more={"saved.py": f"SAVED = {n}"})))
        functions.get_waiter("function_updated_v2").wait(FunctionName="saved", WaiterConfig={"Delay": 1})
        assert invoke(functions, "saved")[0]["compiled"] == MODULES + 1
    compiled(platform, "saved")
    assert len(kept(platform)) == 1
    renew(functions, "saved")
    assert invoke(functions, "saved")[0]["compiled"] == 0
