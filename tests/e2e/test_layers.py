"""Layers as boto3, the AWS CLI and functions see them."""

import io
import json
import shutil
import subprocess
import urllib.error
import urllib.request
import zipfile

import pytest
from botocore.exceptions import ClientError

from platform_under_test import create, eventually, invoke, node_runtime, zipped


def publish(client, name, files, **more):
    content = files if isinstance(files, bytes) else zipped(files)
    return client.publish_layer_version(LayerName=name, Content={"ZipFile": content}, **more)["LayerVersionArn"]


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


IMPORTS = "import shared\ndef handler(event, context):\n    return [shared.NAME, open('/opt/only.txt').read()]\n"


def test_a_function_imports_from_its_layers_and_the_later_wins(functions):
    one = publish(functions, "first", {"python/shared.py": "NAME = 'first'", "only.txt": "of the first"})
    two = publish(functions, "second", {"python/shared.py": "NAME = 'second'"})
    create(functions, "layered", {"app.py": IMPORTS}, Layers=[one, two])
    assert invoke(functions, "layered")[0] == ["second", "of the first"]
    functions.update_function_configuration(FunctionName="layered", Layers=[two, one])
    assert invoke(functions, "layered")[0] == ["first", "of the first"]
    shown = functions.get_function_configuration(FunctionName="layered")["Layers"]
    assert [layer["Arn"] for layer in shown] == [two, one] and all(layer["CodeSize"] > 0 for layer in shown)
    # What is deleted serves its functions on, also the next environments.
    functions.delete_layer_version(LayerName="first", VersionNumber=1)
    functions.update_function_configuration(FunctionName="layered", Timeout=9)
    assert invoke(functions, "layered")[0] == ["first", "of the first"]
    assert refused(functions.update_function_configuration, FunctionName="layered", Layers=[one]) == (
        "InvalidParameterValueException",
        400,
        f"Layer version {one} does not exist.",
    )


def test_ordinary_users_stack_layers_too(own_platform):
    client = own_platform(rootless=True).client("lambda")
    one = publish(client, "first", {"python/shared.py": "NAME = 'first'", "only.txt": "of the first"})
    two = publish(client, "second", {"python/shared.py": "NAME = 'second'"})
    create(client, "layered", {"app.py": IMPORTS}, Layers=[one, two])
    assert invoke(client, "layered")[0] == ["second", "of the first"]


def test_site_packages_of_a_layer_are_the_runtimes_own(functions):
    import platform_under_test

    runtime = platform_under_test.python_runtime()
    files = {f"python/lib/{runtime}/site-packages/deep.py": "NAME = 'deep'", "python/lib/python2.7/site-packages/x.py": ""}
    layer = publish(functions, "site", files, CompatibleRuntimes=[runtime])
    create(functions, "sited", {"app.py": "import deep\ndef handler(event, context):\n    return deep.NAME\n"}, Layers=[layer])
    assert invoke(functions, "sited")[0] == "deep"


@pytest.mark.skipif(not node_runtime(), reason="there is no Node.js here")
def test_node_finds_the_modules_of_a_layer(functions):
    layer = publish(functions, "modules", {"nodejs/node_modules/shared/index.js": "exports.name = 'node';"})
    code = "exports.handler = async () => require('shared').name;"
    create(functions, "noded", {"app.js": code}, runtime=node_runtime(), Layers=[layer])
    assert invoke(functions, "noded")[0] == "node"


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler here")
def test_programs_and_libraries_of_a_layer_are_found(functions, tmp_path):
    (tmp_path / "answer.c").write_text("int answer(void) { return 42; }\nint main(void) { return answer(); }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "libanswer.so", tmp_path / "answer.c"], check=True)
    subprocess.run(["cc", "-o", tmp_path / "answer", tmp_path / "answer.c"], check=True)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, source in [("bin/answer", "answer"), ("lib/libanswer.so", "libanswer.so")]:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, (tmp_path / source).read_bytes())
    layer = publish(functions, "native", out.getvalue())
    code = (
        "import ctypes, subprocess\n"
        "def handler(event, context):\n"
        "    return [ctypes.CDLL('libanswer.so').answer(), subprocess.run(['answer']).returncode]\n"
    )
    create(functions, "natives", {"app.py": code}, Layers=[layer])
    assert invoke(functions, "natives")[0] == [42, 42]


def test_a_custom_runtime_may_come_from_a_layer(functions):
    layer = publish(functions, "runtime", {"bootstrap": "#!/bin/sh\necho from the layer >&2\nexit 7\n"})
    create(functions, "custom", {"data.txt": "x"}, runtime="provided.al2023", Layers=[layer])
    answer, raw = invoke(functions, "custom")
    assert raw["FunctionError"] == "Unhandled" and answer["errorType"] != "Runtime.InvalidEntrypoint", answer


def test_a_layer_is_downloaded_without_a_signature(functions):
    arn = publish(functions, "download", {"python/shared.py": "NAME = 'x'"}, Description="d", LicenseInfo="MIT")
    shown = functions.get_layer_version_by_arn(Arn=arn)
    assert (shown["Description"], shown["LicenseInfo"], shown["Version"]) == ("d", "MIT", 1)
    zip_file = urllib.request.urlopen(shown["Content"]["Location"]).read()
    assert len(zip_file) == shown["Content"]["CodeSize"]
    assert zipfile.ZipFile(io.BytesIO(zip_file)).namelist() == ["python/shared.py"]
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(shown["Content"]["Location"][:-1])


def test_the_aws_cli_sees_the_same(platform, tmp_path):
    (tmp_path / "layer.zip").write_bytes(zipped({"python/shared.py": "NAME = 'cli'"}))
    run = lambda *words: json.loads(platform.cli("lambda", *words).stdout or "null")
    zip_file = f"fileb://{tmp_path}/layer.zip"
    first = run("publish-layer-version", "--layer-name", "by-cli", "--zip-file", zip_file, "--compatible-runtimes", "python3.12")
    run("delete-layer-version", "--layer-name", "by-cli", "--version-number", "1")
    second = run("publish-layer-version", "--layer-name", "by-cli", "--zip-file", zip_file)
    assert (first["Version"], second["Version"]) == (1, 2), "a number never comes again"
    versions = run("list-layer-versions", "--layer-name", "by-cli")["LayerVersions"]
    assert [version["Version"] for version in versions] == [2]
    assert "by-cli" in [layer["LayerName"] for layer in run("list-layers")["Layers"]]
    permission = ["--layer-name", "by-cli", "--version-number", "2", "--statement-id", "all"]
    run("add-layer-version-permission", *permission, "--action", "lambda:GetLayerVersion", "--principal", "*")
    policy = run("get-layer-version-policy", "--layer-name", "by-cli", "--version-number", "2")
    assert json.loads(policy["Policy"])["Statement"][0]["Principal"] == "*"
    run("remove-layer-version-permission", *permission, "--revision-id", policy["RevisionId"])


def test_what_is_wrong_is_refused_in_words(functions):
    missing = ("ResourceNotFoundException", 404, "The resource you requested does not exist.")
    assert refused(functions.get_layer_version, LayerName="nobody", VersionNumber=1) == missing
    assert refused(functions.get_layer_version_policy, LayerName="nobody", VersionNumber=1) == missing
    code, status, message = refused(functions.publish_layer_version, LayerName="a b", Content={"ZipFile": zipped({"a": "b"})})
    assert (code, status) == ("ValidationException", 400) and "layerName" in message
    six = [publish(functions, f"many-{n}", {"a": str(n)}) for n in range(6)]
    arguments = dict(FunctionName="many", Runtime="python3.12", Role="arn:aws:iam::000000000000:role/r", Handler="a.b")
    code = {"ZipFile": zipped({"a.py": ""})}
    told = refused(functions.create_function, **arguments, Code=code, Layers=six)
    assert told == ("InvalidParameterValueException", 400, "Cannot reference more than 5 layers.")
    extension = publish(functions, "extension", {"extensions/agent": "#!/bin/sh"})
    told = refused(functions.create_function, **arguments, Code=code, Layers=[extension])
    assert told[:2] == ("NotImplemented", 501) and "/opt/extensions/agent" in told[2]


def test_layers_survive_a_kill(own_platform):
    running = own_platform()
    client = running.client("lambda")
    layer = publish(client, "kept", {"python/shared.py": "NAME = 'kept'", "only.txt": "x"})
    create(client, "layered", {"app.py": IMPORTS}, Layers=[layer])
    client.delete_layer_version(LayerName="kept", VersionNumber=1)
    running.kill()
    running.start()
    client = running.client("lambda")
    assert invoke(client, "layered")[0] == ["kept", "x"]
    assert publish(client, "kept", {"a": "b"}).endswith(":2")
    client.delete_function(FunctionName="layered")
    client.delete_layer_version(LayerName="kept", VersionNumber=2)
    trees = running.data / "trees"
    assert eventually(lambda: list(trees.iterdir()), lambda seen: not seen) == [], "what nothing uses goes"
