"""`lambent new` and `lambent deploy` of folders made for Apex."""

import json
import os
import pathlib
import shlex
import shutil

import pytest

from platform_under_test import ROOT, eventually, invoke, node_runtime, python_runtime

TEMPLATES = ["http", "cron", "queue", "s3", "crud", "stream", "webhook", "web"]
APEX = pathlib.Path(__file__).parent / "apex"

# What each says to the event its trigger sends.
SAYS = {
    "http": lambda said: said["statusCode"] == 200 and json.loads(said["body"]) == {"hello": "Ada"},
    "cron": lambda said: said == {"day": "2026-11-27"},
    "queue": lambda said: [one["itemIdentifier"][-1] for one in said["batchItemFailures"]] == ["2"],
    "s3": lambda said: said == {"seen": ["summer 2026/at the sea.jpg"]},
    # The event's title is empty: a request that is refused needs no table.
    "crud": lambda said: said["statusCode"] == 400 and "title" in said["body"],
    "stream": lambda said: [one["itemIdentifier"][-4:] for one in said["batchItemFailures"]] == ["0002"],
    "webhook": lambda said: said["statusCode"] == 204,
    "web": lambda said: said["statusCode"] == 200,
}
OPTIONS = {"crud": ["--env", "TABLE=items"], "webhook": ["--env", "WEBHOOK_SECRET=change-me"]}


@pytest.mark.parametrize("language", ["python", "node"])
@pytest.mark.parametrize("template", TEMPLATES)
def test_each_template_answers_what_its_trigger_sends(platform, tmp_path, template, language):
    if language == "node" and not node_runtime():
        pytest.skip("this host has no node")
    folder = tmp_path / f"new-{template}-{language}"
    platform.lambent("new", str(folder), "--template", template, "--language", language)
    # The SDK that the table wants comes over the network; what is asked of it here needs none.
    (folder / "requirements.txt").unlink(missing_ok=True)
    if (folder / "package.json").exists():
        (folder / "package.json").write_text('{"private": true, "type": "module"}')
    said = platform.lambent("deploy", str(folder), "--no-url", *OPTIONS.get(template, [])).stdout
    assert f"created {folder.name}" in said
    said, answer = invoke(platform.client("lambda"), folder.name, json.loads((folder / "event.json").read_text()))
    assert "FunctionError" not in answer and SAYS[template](said), said
    with platform_files(platform, folder.name) as files:
        assert "event.json" not in files and "README.md" not in files and "lambent.json" not in files


@pytest.mark.parametrize("language", ["python", "node"])
def test_a_queue_drives_what_was_made_for_one(platform, tmp_path, language):
    if language == "node" and not node_runtime():
        pytest.skip("this host has no node")
    folder = tmp_path / f"driven-{language}"
    platform.lambent("new", str(folder), "--template", "queue", "--language", language)
    (folder / "requirements.txt").unlink(missing_ok=True)
    if (folder / "package.json").exists():
        (folder / "package.json").write_text('{"private": true, "type": "module"}')
    platform.lambent("deploy", str(folder), "--no-url")
    # As the project's own README says.
    commands = (folder / "README.md").read_text().replace("\\\n", " ").splitlines()
    for command in [shlex.split(line) for line in commands if line.startswith("    lambent aws ")][:2]:
        platform.lambent(*command[1:], environment={"PATH": f"{ROOT / 'target/venv/bin'}:{os.environ['PATH']}"})
    sqs = platform.client("sqs")
    url = sqs.get_queue_url(QueueName=folder.name)["QueueUrl"]
    bodies = [record["body"] for record in json.loads((folder / "event.json").read_text())["Records"]]
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)])
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    left = lambda: [int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][name]) for name in names]
    # The second one is made to fail: it stays until its visibility timeout.
    assert eventually(left, lambda left: left == [0, 1]) == [0, 1]


def platform_files(platform, name):
    """The names of the files a function was deployed with."""
    import io
    import urllib.request
    import zipfile
    from contextlib import nullcontext

    url = platform.client("lambda").get_function(FunctionName=name)["Code"]["Location"]
    with urllib.request.urlopen(url) as answer:
        return nullcontext(zipfile.ZipFile(io.BytesIO(answer.read())).namelist())


def test_a_forged_webhook_is_turned_away(platform, tmp_path):
    folder = tmp_path / "forged"
    platform.lambent("new", str(folder), "-t", "webhook")
    (folder / "requirements.txt").unlink()
    platform.lambent("deploy", str(folder), "--no-url", "--env", "WEBHOOK_SECRET=another")
    said, _ = invoke(platform.client("lambda"), "forged", json.loads((folder / "event.json").read_text()))
    assert said["statusCode"] == 401


def test_new_lists_refuses_and_never_overwrites(platform, tmp_path):
    listed = platform.lambent("new", "--list").stdout
    assert all(f"{name} " in listed for name in TEMPLATES)
    folder = tmp_path / "kept"
    platform.lambent("new", str(folder))
    (folder / "app.py").write_text("mine")
    done = platform.lambent("new", str(folder), "--template", "cron", check=False)
    assert done.returncode != 0 and "nothing is ever overwritten" in done.stderr
    assert (folder / "app.py").read_text() == "mine"
    done = platform.lambent("new", str(tmp_path / "x"), "--template", "nothing", check=False)
    assert done.returncode != 0 and "there is no template nothing" in done.stderr and not (tmp_path / "x").exists()
    done = platform.lambent("new", str(tmp_path / "x"), "-t", "s3", "-l", "rust", check=False)
    assert done.returncode != 0 and "not written in Rust" in done.stderr
    done = platform.lambent("new", str(tmp_path / "a b"), check=False)
    assert done.returncode != 0 and "cannot name a function" in done.stderr


def test_a_rust_project_is_a_package(platform, tmp_path):
    for template in ("http", "queue"):
        folder = tmp_path / f"rust-{template}"
        platform.lambent("new", str(folder), "-t", template, "-l", "rust")
        shared = (ROOT / "examples/rust-hello/Cargo.toml").read_text()
        made = (folder / "Cargo.toml").read_text()
        assert [line for line in made.splitlines() if line.startswith(("lambda_runtime", "serde_json", "tokio"))] == [
            line for line in shared.splitlines() if line.startswith(("lambda_runtime", "serde_json", "tokio"))
        ], "the dependencies of the example that is built by a test"
        assert "lambda_runtime::run" in (folder / "src/main.rs").read_text()


def test_an_apex_project_is_deployed(platform, tmp_path):
    folder = tmp_path / "shop"
    shutil.copytree(APEX, folder)
    done = platform.lambent("deploy", str(folder), check=False)
    assert done.returncode != 0 and "functions/count asks for python2.7, which is gone" in done.stderr
    assert "--runtime python" in done.stderr
    said = platform.lambent("deploy", str(folder), "greet", "count", "--runtime", python_runtime()).stdout
    assert "created shop_greet" in said and "created shop_count" in said and "shop_old" not in said
    functions = platform.client("lambda")
    said, _ = invoke(functions, "shop_greet", {"name": "Ada"})
    assert said == {"said": "hello Ada", "stage": "test", "function": "greet", "files": ["main.py"]}
    assert invoke(functions, "shop_count", {"text": "four"})[0] == 4
    one = functions.get_function_configuration(FunctionName="shop_greet")
    assert (one["MemorySize"], one["Timeout"], one["Description"]) == (192, 5, "Greets")
    assert one["Role"] == "arn:aws:iam::000000000000:role/shop"
    said = platform.lambent("deploy", str(folder), "greet", "--runtime", python_runtime(), "--env", "STAGE=mine").stdout
    assert "updated shop_greet" in said
    assert invoke(functions, "shop_greet", {"name": "x"})[0]["stage"] == "mine"
    if node_runtime():
        platform.lambent("deploy", str(folder), "old", "--runtime", node_runtime())
        assert invoke(functions, "shop_old", {"value": 4})[0] == {"twice": 8}
    (folder / "functions/greet/function.json").write_text('{"runtime": "python", "hooks": {"build": "make"}}')
    done = platform.lambent("deploy", str(folder), "greet", "--runtime", python_runtime(), check=False)
    assert done.returncode != 0 and "hooks.build" in done.stderr
