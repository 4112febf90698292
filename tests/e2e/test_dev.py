"""`lambent dev`: the next call after a save runs what was saved."""

import os
import signal
import statistics
import subprocess
import time
import urllib.request

import pytest

from platform_under_test import BINARY, eventually, invoke

SAYS = "def handler(event, context):\n    print('said', {n})\n    return {n}\n"


@pytest.fixture
def dev(platform, tmp_path):
    """`lambent dev` of a folder, and what it prints, line by line."""
    folder = tmp_path / "watched"
    folder.mkdir()
    (folder / "app.py").write_text(SAYS.format(n=0))
    printed = open(tmp_path / "printed", "w+")
    command = [str(BINARY), "dev", str(folder), "--name", tmp_path.name.replace("_", "-"), "--endpoint", platform.endpoint]
    process = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT, env={**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"})
    said = lambda: (tmp_path / "printed").read_text()
    assert "watching" in eventually(said, lambda text: "watching" in text), said()
    yield folder, tmp_path.name.replace("_", "-"), said, process
    process.kill()
    process.wait()
    printed.close()


def test_a_save_is_what_the_next_call_runs(functions, dev):
    folder, name, said, process = dev
    assert invoke(functions, name)[0] == 0
    took = []
    for n in range(1, 8):
        (folder / "app.py").write_text(SAYS.format(n=n))
        saved = time.monotonic()
        # Whoever asks all the time hears the new answer once it is there.
        while invoke(functions, name)[0] != n:
            assert time.monotonic() - saved < 10, said()
            time.sleep(0.002)
        took.append(1000 * (time.monotonic() - saved))
        eventually(said, lambda text: text.count("reloaded") == n)
    print(f"saved to answered: p50 {statistics.median(took):.0f} ms of {sorted(round(one) for one in took)}")
    text = eventually(said, lambda text: "said 7" in text and "REPORT" in text)
    assert "said 7" in text and "Phases: " in text and text.count("reloaded") == 7, text
    # Editors write beside the file and put the new one in its place.
    (folder / "app.py.tmp").write_text(SAYS.format(n=100))
    os.replace(folder / "app.py.tmp", folder / "app.py")
    assert eventually(lambda: invoke(functions, name)[0], lambda answer: answer == 100) == 100
    # What is half done does not end it.
    os.remove(folder / "app.py")
    assert "not reloaded" in eventually(said, lambda text: "not reloaded" in text)
    (folder / "app.py").write_text(SAYS.format(n=101))
    assert eventually(lambda: invoke(functions, name)[0], lambda answer: answer == 101) == 101
    # What is not packed reloads nothing.
    before = said().count("reloaded")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/app.pyc").write_bytes(b"x")
    (folder / "app.py").write_text(SAYS.format(n=102))
    assert eventually(lambda: invoke(functions, name)[0], lambda answer: answer == 102) == 102
    assert eventually(said, lambda text: text.count("reloaded") > before).count("reloaded") == before + 1
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0


def test_a_folder_that_is_none_is_said(platform, tmp_path):
    refused = platform.lambent("dev", str(tmp_path / "none"), check=False)
    assert refused.returncode != 0 and "cannot watch" in refused.stderr


SERVES = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{n}']\n"


def test_a_program_that_listens_follows_the_folder_too(platform, tmp_path):
    folder, printed = tmp_path / "served", tmp_path / "printed"
    folder.mkdir()
    (folder / "app.py").write_text(SERVES.format(n=0))
    command = [str(BINARY), "dev", str(folder), "--name", "dev-served", "--memory", "1769", "--endpoint", platform.endpoint]
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with open(printed, "w") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment) as process:
        try:
            assert "watching" in eventually(printed.read_text, lambda text: "watching" in text)
            url = next(line.removeprefix("url ") for line in printed.read_text().splitlines() if line.startswith("url "))
            ask = lambda: urllib.request.urlopen(url, timeout=30).read()
            assert ask() == b"0"
            took = []
            for n in range(1, 6):
                (folder / "app.py").write_text(SERVES.format(n=n))
                saved = time.monotonic()
                while ask() != b"%d" % n:
                    assert time.monotonic() - saved < 20, printed.read_text()
                took.append(1000 * (time.monotonic() - saved))
                eventually(printed.read_text, lambda text: text.count("reloaded") == n)
            print(f"saved to answered: p50 {statistics.median(took):.0f} ms of {sorted(round(one) for one in took)}")
        finally:
            process.kill()
