"""Backups of a running platform, restored into an empty folder; checks of a data folder."""

import os
import stat
import subprocess
import threading

from platform_under_test import BINARY, Platform, create, invoke

CODE = "def handler(event, context):\n    return event.get('n')\n"


def lambent(*arguments, check=True):
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done


def test_a_backup_of_a_running_platform_becomes_another(own_platform, workspace):
    running = own_platform()
    client = running.client("lambda")
    create(client, "kept", {"app.py": CODE})
    stopping = threading.Event()

    def write():
        while not stopping.is_set():
            client.tag_resource(Resource=client.get_function(FunctionName="kept")["Configuration"]["FunctionArn"], Tags={"a": "b"})

    busy = threading.Thread(target=write)
    busy.start()
    file = workspace / "kept.backup"
    try:
        lambent("backup", file, "--data", running.data)
        assert "rows" in lambent("check", "--data", running.data).stdout
    finally:
        stopping.set()
        busy.join()
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600, "it holds secrets"
    create(client, "later", {"app.py": CODE})

    target = workspace / "restored"
    lambent("restore", file, "--data", target)
    lambent("check", "--data", target)
    restored = Platform(target)
    try:
        client = restored.client("lambda")
        assert [f["FunctionName"] for f in client.list_functions()["Functions"]] == ["kept"]
        assert invoke(client, "kept", {"n": 7})[0] == 7
        refused = lambent("restore", file, "--data", target, check=False)
        assert refused.returncode != 0 and "not empty" in refused.stderr
    finally:
        restored.stop()
    # A folder that nobody uses is opened.
    offline = workspace / "offline.backup"
    lambent("backup", offline, "--data", target)
    again = lambent("backup", offline, "--data", target, check=False)
    assert again.returncode != 0 and "exists already" in again.stderr


def test_a_check_names_a_damaged_blob(own_platform):
    running = own_platform()
    create(running.client("lambda"), "kept", {"app.py": CODE})
    blob = next(path for path in (running.data / "blobs").rglob("*") if path.is_file())
    blob.write_bytes(b"rot")
    checked = lambent("check", "--data", running.data, check=False)
    assert checked.returncode != 0 and "fault" in checked.stdout and blob.name in checked.stdout
    running.stop()
    checked = lambent("check", "--data", running.data, check=False)
    assert checked.returncode != 0 and blob.name in checked.stdout


def test_the_socket_is_for_the_owner_alone(own_platform):
    running = own_platform()
    socket = running.data / "run/admin.sock"
    assert stat.S_IMODE(os.stat(socket).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(running.data).st_mode) == 0o700
