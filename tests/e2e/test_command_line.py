"""`lambent` as a person types it."""

import json
import pathlib
import sys
import urllib.request

from platform_under_test import ROOT, python_runtime


def test_deploy_invoke_logs_list_remove(platform, tmp_path):
    folder = tmp_path / "greeter"
    folder.mkdir()
    (folder / "app.py").write_text("def handler(event, context):\n    print('greeting')\n    return {'statusCode': 200, 'body': 'hi ' + event.get('rawPath', '')}\n")
    (folder / ".env").write_text("SECRET=1")
    (folder / ".gitignore").write_text("ignored.txt\n")
    (folder / "ignored.txt").write_text("x")
    said = platform.lambent("deploy", str(folder)).stdout
    assert f"created greeter · {python_runtime()} · handler app.handler" in said
    assert "in 1 files" in said
    url = next(line.removeprefix("url ") for line in said.splitlines() if line.startswith("url "))
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"hi /" and answer.headers["lambent-start"] in ("cold", "warm")
    done = platform.lambent("invoke", "greeter", "--sample", "http")
    assert json.loads(done.stdout)["body"] == "hi /hello" and "REPORT RequestId" in done.stderr
    assert "greeting" in platform.lambent("logs", "greeter").stdout
    assert "greeter" in platform.lambent("ls").stdout
    assert "updated greeter" in platform.lambent("deploy", str(folder)).stdout
    assert platform.lambent("rm", "greeter", check=False, input="").returncode != 0, "without a terminal or --yes nothing is deleted"
    platform.lambent("rm", "greeter", "--yes")
    assert "greeter" not in platform.lambent("ls").stdout


def test_wrong_input_gets_a_sentence(platform, tmp_path):
    done = platform.lambent("deploy", str(tmp_path / "nowhere"), check=False)
    assert done.returncode != 0 and "there is no folder" in done.stderr
    done = platform.lambent("deploy", str(tmp_path), check=False)
    assert done.returncode != 0 and "holds no function" in done.stderr
    done = platform.lambent("invoke", "never-made", check=False)
    assert done.returncode != 0 and "Function not found" in done.stderr
    done = platform.lambent("invoke", "../x", check=False)
    assert done.returncode != 0 and "functionName" in done.stderr, done.stderr
    done = platform.lambent("--endpoint", "http://127.0.0.1:1", "ls", check=False)
    assert done.returncode != 0 and "no platform answers" in done.stderr


def test_env_and_doctor(platform):
    assert f"export AWS_ENDPOINT_URL='{platform.endpoint}'" in platform.lambent("env").stdout
    said = platform.lambent("doctor", check=False).stdout
    assert "walls " in said and "runtimes" in said


def test_health(platform):
    with urllib.request.urlopen(f"{platform.endpoint}/_lambent/health") as answer:
        assert json.load(answer)["status"] == "running"
    with urllib.request.urlopen(f"{platform.endpoint}/_localstack/health") as answer:
        assert json.load(answer)["services"]["lambda"] in ("available", "running")


def test_the_example_makes_a_thumbnail(platform):
    said = platform.lambent("deploy", str(ROOT / "examples/thumbnail")).stdout
    url = next(line.removeprefix("url ") for line in said.splitlines() if line.startswith("url "))
    photo = (ROOT / "examples/thumbnail/photo.jpg").read_bytes()
    request = urllib.request.Request(url, data=photo, headers={"content-type": "image/jpeg"})
    with urllib.request.urlopen(request) as answer:
        body = answer.read()
        assert answer.headers["content-type"] == "image/jpeg" and body[:2] == b"\xff\xd8" and len(body) < len(photo)
    page = urllib.request.Request(f"{platform.endpoint}/", headers={"accept": "text/html"})
    with urllib.request.urlopen(page) as answer:
        assert answer.headers["content-type"].startswith("text/html")


def test_runtimes_are_added_and_forgotten(platform, tmp_path):
    home = {"XDG_CONFIG_HOME": str(tmp_path)}
    prefix = pathlib.Path(sys.base_prefix)
    platform.lambent("runtime", "add", python_runtime(), "--from", str(prefix), environment=home)
    assert " added" in platform.lambent("runtime", "ls", environment=home).stdout
    done = platform.lambent("runtime", "add", "python3.4", "--from", str(prefix), check=False, environment=home)
    assert done.returncode != 0 and "not python3.4" in done.stderr
    platform.lambent("runtime", "rm", python_runtime(), environment=home)
    assert " added" not in platform.lambent("runtime", "ls", environment=home).stdout
