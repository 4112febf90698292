"""Functions that do something, after FunctionBench (J. Kim and K. Lee, "FunctionBench: A Suite of Workloads for Serverless Cloud
Function Service", IEEE CLOUD 2019): each in `functions/NAME.py`, some with packages from PyPI.

A function's packages are installed at the time of the measurement, without bytecode, and kept in `target/bench-packages`. What cannot
be installed, or is larger than a function may be, is skipped by name. A zip that is larger than one in a request may be goes by a bucket.
"""

import base64
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import zipfile

import objects

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Source: AWS Lambda quotas, "Deployment package": zipped in a request, and unpacked.
ZIPPED_BYTES, UNPACKED_BYTES = 50 << 20, 250 << 20
# Name: packages, further files, and what of its answer shows that it did its work.
WORKLOADS = {
    "float": ([], [], lambda answer: answer["total"] > 0),
    "matmul": ([], [], lambda answer: answer["trace"] > 0),
    "json_text": ([], [], lambda answer: answer["same"]),
    "gzip_text": ([], [], lambda answer: answer["same"]),
    "image": (["Pillow==13.0.0"], ["examples/thumbnail/photo.jpg"], lambda answer: len(answer["bytes"]) == 4),
    "html": (["Jinja2==3.1.6", "MarkupSafe==3.0.4"], [], lambda answer: answer["cells"] == 2000),
    "pandas_frame": (["pandas==3.1.1", "numpy==2.4.6"], [], lambda answer: answer["keys"] == 50),
    "pandas_large": (["pandas==3.1.1", "numpy==2.4.6", "pyarrow==26.0.1"], [], lambda answer: answer["same"]),
}


class Skipped(Exception):
    """Why a function is not measured."""


def installed(name, packages):
    """A folder with a function's packages."""
    folder = ROOT / "target/bench-packages" / f"{name}-{'-'.join(packages).replace('=', '')}-python{sys.version_info.major}.{sys.version_info.minor}"
    if not (folder / ".complete").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--only-binary", ":all:", "--upgrade", "--target", folder, *packages]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Skipped(f"pip cannot install {' '.join(packages)}: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
        (folder / ".complete").touch()
    return folder


def package(name):
    """The function's zip, and its size unpacked."""
    packages, files, _ = WORKLOADS[name]
    contents = {"app.py": ROOT / "benches/functions" / f"{name}.py", **{pathlib.Path(file).name: ROOT / file for file in files}}
    if packages:
        folder = installed(name, packages)
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_file() and not {"__pycache__", "tests", "bin", ".complete"} & set(inside.parts):
                contents[str(inside)] = path
    out, unpacked = io.BytesIO(), 0
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, path in contents.items():
            archive.write(path, inside)
            unpacked += path.stat().st_size
    zipped = out.getvalue()
    if unpacked > UNPACKED_BYTES:
        raise Skipped(f"{unpacked >> 20} MiB unpacked are more than {UNPACKED_BYTES >> 20}")
    return zipped, unpacked


def stored(platform, name, zipped):
    """The code as an object of a bucket."""
    for path, body in [("/bench-code", b""), (f"/bench-code/{name}", zipped)]:
        _, status, answer = platform.connection.call("PUT", path, body, objects.SIGNED.format(key="test"))
        assert status < 300 or b"BucketAlreadyOwnedByYou" in answer, (status, answer)
    return {"S3Bucket": "bench-code", "S3Key": name}


def compiled(platform, zipped):
    """Waits until the platform has compiled some code; the seconds, or none where it does not."""
    folder, digest = pathlib.Path(platform.data) / "bytecode", hashlib.sha256(zipped).hexdigest()
    sources = sum(entry.file_size for entry in zipfile.ZipFile(io.BytesIO(zipped)).infolist() if entry.filename.endswith(".py"))
    began = time.perf_counter()
    # Smaller code is left alone: `LEAST_BYTES` in functions/src/bytecode.rs.
    while folder.exists() and sources >= 100_000 and time.perf_counter() - began < 60:
        if any(path.name.startswith(digest) for path in folder.iterdir()):
            return time.perf_counter() - began
        time.sleep(0.1)
    return None


def checked(name, body):
    answer = json.loads(body)
    assert "errorMessage" not in answer and WORKLOADS[name][2](answer), f"{name} answered {answer}"


def throughput(connect, name, seconds):
    """Calls a second of as many callers as there are cores, each on a connection of its own."""
    counts = []

    def call():
        connection = connect()
        end, count = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            _, status, body = connection.invoke(name)
            assert status == 200, body
            count += 1
        counts.append(count / (time.perf_counter() - end + seconds))

    callers = [threading.Thread(target=call) for _ in range(os.cpu_count())]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(counts) == len(callers), f"{name}: a caller failed"
    return sum(counts), len(callers)


def measure(platform, name, runtime, quick, row):
    """First, cold, warm and throughput of one function."""
    colds, warms, seconds = (2, 5, 1) if quick else (10, 100, 5)
    try:
        zipped, unpacked = package(name)
    except Skipped as why:
        print(f"{name}: skipped: {why}", flush=True)
        return
    code = stored(platform, name, zipped) if len(zipped) > ZIPPED_BYTES else {"ZipFile": base64.b64encode(zipped).decode()}
    began = time.perf_counter()
    platform.json("POST", "/2015-03-31/functions", {
        "FunctionName": name, "Runtime": runtime, "Role": "arn:aws:iam::000000000000:role/bench", "Handler": "app.handler", "MemorySize": 1769,
        "Timeout": 60, "Code": code,
    })
    created = (time.perf_counter() - began) * 1e3
    first, body = platform.invoke(name)
    checked(name, body)
    print(f"{name}: {len(zipped) / 1e6:.1f} MB, {unpacked / 1e6:.1f} unpacked; create-function {created:.1f} ms, first invoke {first:.1f} ms", flush=True)
    waited = compiled(platform, zipped)
    if waited is not None:
        print(f"{name}: its code was compiled {waited:.1f} s after that", flush=True)
    row(f"cold: {name}, spaced", platform.cold(name, colds, True))
    platform.invoke(name)
    row(f"warm: {name}", [platform.invoke(name)[0] for _ in range(warms)])
    checked(name, platform.invoke(name)[1])
    rate, callers = throughput(platform.connect, name, seconds)
    print(f"{f'throughput: {name}':46s} {rate:13.1f} a second, {callers} callers, {seconds} s", flush=True)
