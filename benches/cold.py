"""Cold starts that a bare interpreter's is no measure of: Python with boto3 and a client, and a program of the function's own."""

import base64
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

import workloads

# The region and the keys are the function's environment's.
BOTO3 = """import boto3, json
client = boto3.client("s3")
def handler(event, context):
    return {"version": boto3.__version__, "file": boto3.__file__, "region": client.meta.region_name}
"""
FRESH = 'import boto3; boto3.client("s3")'
PACKAGES = ["boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3"]


def fresh_client(fresh_interpreter):
    """A fresh interpreter that imports boto3 and makes a client: the one that runs the functions, if it has boto3."""
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    real = os.path.realpath(sys._base_executable)
    has = subprocess.run([real, "-c", "import boto3"], capture_output=True).returncode == 0
    return fresh_interpreter([real if has else sys.executable, "-c", FRESH])


def bundle():
    """The function with boto3 as pip leaves it, S3's models only: the whole of it is larger than a request may be."""
    site = pathlib.Path(__import__("boto3").__file__).parents[1]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app.py", BOTO3)
        archive.write(site / "six.py", "six.py")
        for name in PACKAGES:
            for path in sorted((site / name).rglob("*")):
                inside = path.relative_to(site)
                data = inside.parts[2:3] if inside.parts[:2] == ("botocore", "data") else ()
                if path.is_file() and "__pycache__" not in inside.parts and (not data or path.parent.name == "data" or data == ("s3",)):
                    archive.write(path, inside)
    return base64.b64encode(out.getvalue()).decode()


def boto3(platform, python, fresh_interpreter, row):
    """Cold starts of a function that imports boto3 and makes a client in its INIT: one boto3 is the platform's, one its own."""
    before = fresh_client(fresh_interpreter)
    for name, files, what in [("boto3", {"app.py": BOTO3}, "the platform's"), ("boto3own", None, "its own")]:
        if files:
            platform.create(name, python, files)
        else:
            code = bundle()
            platform.json("POST", "/2015-03-31/functions", {
                "FunctionName": name, "Runtime": python, "Role": "arn:aws:iam::000000000000:role/bench", "Handler": "app.handler",
                "MemorySize": 1769, "Timeout": 30, "Code": {"ZipFile": code},
            })
        first, body = platform.invoke(name)
        if b"errorMessage" in body:
            print(f"boto3, {what}: skipped: {body.decode()[:160]}", flush=True)
            print(f"  the interpreter of {python} must have it: python3.x -m pip install boto3", flush=True)
            continue
        print(f"boto3, {what}: first invoke {first:.1f} ms: {body.decode()}", flush=True)
        if not files:
            workloads.compiled(platform, base64.b64decode(code))
        spaced = row(f"cold: Python with boto3 ({what}), spaced", platform.cold(name, 20, True))
        loop = row(f"cold: Python with boto3 ({what}), in a loop", platform.cold(name, 20, False))
        after = fresh_client(fresh_interpreter)
        fresh = (before + after) / 2
        print(f"  = {fresh / spaced:.1f} x faster spaced, {fresh / loop:.1f} x in a loop, than a fresh interpreter doing the same", flush=True)
        before = after


def compiled():
    """The program of `functions/bootstrap.c`, static; why there is none."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        return None, "there is no C compiler"
    with tempfile.TemporaryDirectory() as folder:
        source = workloads.ROOT / "benches/functions/bootstrap.c"
        done = subprocess.run([compiler, "-O2", "-static", "-o", f"{folder}/bootstrap", source], capture_output=True, text=True)
        if done.returncode:
            return None, done.stderr.strip().splitlines()[-1]
        return pathlib.Path(folder, "bootstrap").read_bytes(), None


def scaleout(folder):
    """ms of a pooled sandbox around a static program, by one worker and by as many as there are cores."""
    program = folder / "scaleout" if folder else None
    if not program or not program.exists():
        print("yardstick: scaleout pooled: skipped: it is not there", flush=True)
        return {}
    # Its mounts' places; it makes the others itself.
    (folder / "ov/t").mkdir(parents=True, exist_ok=True)
    out = {}
    for workers in (1, os.cpu_count()):
        done = subprocess.run([program, "pooled", str(workers), "3"], capture_output=True, text=True)
        found = re.search(r"p50\s+(\d+) us p99\s+(\d+) us\s+attributed CPU\s+(\d+) us", done.stdout)
        if found and int(found[1]):
            out[workers] = int(found[1]) / 1e3
            print(f"yardstick: scaleout pooled, {workers} workers        p50 {out[workers]:9.3f}  p99 {int(found[2]) / 1e3:9.3f} ms  CPU {found[3]} us each", flush=True)
        else:
            print(f"yardstick: scaleout pooled, {workers} workers: failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}", flush=True)
    return out


def native(platform, yard, row):
    """Cold starts of a static program."""
    program, why = compiled()
    if not program:
        print(f"native: skipped: {why}", flush=True)
        return
    floors = scaleout(yard)
    platform.create("native", "provided.al2023", {"bootstrap": program})
    print(f"native: first invoke {platform.invoke('native')[0]:.1f} ms", flush=True)
    spaced = row("cold: native program, spaced", platform.cold("native", 30, True))
    loop = row("cold: native program, in a loop", platform.cold("native", 100, False))
    platform.create("native128", "provided.al2023", {"bootstrap": program}, memory=128)
    row("cold: native program at 128 MB, spaced", platform.cold("native128", 10, True))
    row("warm: native program", platform.warm("native", 1000)[0])
    for workers, floor in floors.items():
        print(f"  = {spaced / floor:.2f} x scaleout pooled with {workers} workers spaced, {loop / floor:.2f} x in a loop", flush=True)
