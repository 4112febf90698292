"""What a bucket tells functions: as boto3 sets it up, as functions hear it, over kills; and code that lies in a bucket."""

import datetime
import io
import json
import urllib.parse

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from examples import setup
from platform_under_test import ROLE, ROOT, TELL, create, eventually, invoke, python_runtime, ran, told, zipped
from test_iam import ROLE as ROLE_OF_WORKER
from test_iam import World, allow, refused

ACCOUNT = "000000000000"
EAR = """
import json
def handler(event, context):
    for record in event["Records"]:
        print("ran", record["s3"]["configurationId"], record["eventName"], json.dumps(record["s3"]["object"], sort_keys=True))
"""


def arn(name):
    return f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"


def configuration(name, *events, prefix=None, suffix=None, id=None):
    rules = [{"Name": key, "Value": value} for key, value in [("prefix", prefix), ("suffix", suffix)] if value]
    one = {"LambdaFunctionArn": arn(name), "Events": list(events) or ["s3:ObjectCreated:*"]}
    if rules:
        one["Filter"] = {"Key": {"FilterRules": rules}}
    return {**one, "Id": id} if id else one


def permit(functions, name, bucket):
    functions.add_permission(
        FunctionName=name,
        StatementId="s3",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{bucket}",
        SourceAccount=ACCOUNT,
    )


def tell(s3, bucket, *configurations):
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": list(configurations)}
    )


def heard(platform, name, n=1):
    """The events that a function printed: configuration, event, key."""
    lines = eventually(lambda: ran(platform, name), lambda seen: len(seen) >= n)
    out = []
    for line in lines:
        _, id, event, record = line.split(" ", 3)
        out.append((id, event, urllib.parse.unquote_plus(json.loads(record)["key"])))
    return out


def keys(s3, bucket, prefix=""):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [one["Key"] for page in pages for one in page.get("Contents", [])]


def test_filters_and_keys_of_every_kind(platform, functions):
    s3 = platform.client("s3")
    create(functions, "ear", {"app.py": EAR})
    s3.create_bucket(Bucket="heard")
    permit(functions, "ear", "heard")
    tell(
        s3,
        "heard",
        configuration("ear", prefix="in/", suffix=".jpg", id="jpg"),
        configuration("ear", "s3:ObjectRemoved:*", prefix="in/", id="gone"),
    )
    shown = s3.get_bucket_notification_configuration(Bucket="heard")["LambdaFunctionConfigurations"]
    assert [one["Id"] for one in shown] == ["jpg", "gone"]
    assert shown[0]["Filter"]["Key"]["FilterRules"][0] == {"Name": "Prefix", "Value": "in/"}
    odd = "in/a b+ü&?%=~'(1).jpg"
    for key in ["out/a.jpg", "in/a.png", odd]:
        s3.put_object(Bucket="heard", Key=key, Body=b"x")
    s3.copy_object(Bucket="heard", Key="in/copy.jpg", CopySource={"Bucket": "heard", "Key": odd})
    s3.delete_object(Bucket="heard", Key="in/a.png")
    s3.delete_objects(Bucket="heard", Delete={"Objects": [{"Key": "in/copy.jpg"}, {"Key": "out/a.jpg"}]})
    assert sorted(heard(platform, "ear", 4)) == sorted(
        [
            ("jpg", "ObjectCreated:Put", odd),
            ("jpg", "ObjectCreated:Copy", "in/copy.jpg"),
            ("gone", "ObjectRemoved:Delete", "in/a.png"),
            ("gone", "ObjectRemoved:Delete", "in/copy.jpg"),
        ]
    )
    # A large object is one of several requests.
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    s3.upload_fileobj(io.BytesIO(b"x" * (6 << 20)), "heard", "in/large.jpg", Config=config)
    assert ("jpg", "ObjectCreated:CompleteMultipartUpload", "in/large.jpg") in heard(platform, "ear", 5)


def test_what_could_not_be_heard_is_refused(platform, functions):
    s3 = platform.client("s3")
    s3.create_bucket(Bucket="unheard")
    with pytest.raises(ClientError) as caught:
        tell(s3, "unheard", configuration("nobody-there"))
    error = caught.value.response["Error"]
    assert (error["Code"], error["Message"]) == (
        "InvalidArgument",
        "Unable to validate the following destination configurations",
    )
    assert error["ArgumentName1"] == f"{arn('nobody-there')}, null"
    assert error["ArgumentValue1"] == f"Not authorized to invoke function [{arn('nobody-there')}]"


SCRIBE = """
import urllib.parse
from tell import tell
def handler(event, context):
    for record in event["Records"]:
        tell(urllib.parse.unquote_plus(record["s3"]["object"]["key"]))
"""


def test_events_survive_a_kill(own_platform):
    running = own_platform()
    functions, s3 = running.client("lambda"), running.client("s3")
    create(functions, "scribe", {"app.py": SCRIBE, "tell.py": TELL})
    s3.create_bucket(Bucket="heard")
    s3.create_bucket(Bucket="told")
    permit(functions, "scribe", "heard")
    tell(s3, "heard", configuration("scribe", id="all"))
    wanted = {f"key-{n}" for n in range(30)}
    for key in sorted(wanted):
        s3.put_object(Bucket="heard", Key=key, Body=b"x")
    running.kill()
    running.start()
    seen = eventually(lambda: told(running), lambda seen: seen == wanted)
    assert seen == wanted, "what was acknowledged is heard of"


def test_the_function_must_let_the_bucket_in(own_platform):
    world = World(own_platform("--iam", "enforce"))
    s3 = world.client("s3")
    world.create("ear", {"app.py": EAR})
    for bucket in ["right", "wrong"]:
        s3.create_bucket(Bucket=bucket)
    permit(world.functions, "ear", "right")
    assert refused(
        s3.put_bucket_notification_configuration,
        Bucket="wrong",
        NotificationConfiguration={"LambdaFunctionConfigurations": [configuration("ear")]},
    ) == ("InvalidArgument", 400, "Unable to validate the following destination configurations")
    tell(s3, "right", configuration("ear", id="right"))
    s3.put_object(Bucket="right", Key="k", Body=b"x")
    assert heard(world, "ear") == [("right", "ObjectCreated:Put", "k")]
    # It is asked at every delivery; what it does not let in waits for a person.
    world.functions.remove_permission(FunctionName="ear", StatementId="s3")
    s3.put_object(Bucket="right", Key="later", Body=b"x")
    keys = {"AWS_ACCESS_KEY_ID": world.root[0], "AWS_SECRET_ACCESS_KEY": world.root[1]}
    stuck = lambda *more: world.platform.lambent("events", *more, environment=keys).stdout
    assert "lambda:Invoke" in eventually(lambda: stuck("stuck"), lambda said: "lambda:Invoke" in said)
    permit(world.functions, "ear", "right")
    stuck("replay", "--all")
    assert ("right", "ObjectCreated:Put", "later") in heard(world, "ear", 2)


def test_code_in_a_bucket_is_read_as_its_caller(own_platform):
    world = World(own_platform("--iam", "enforce"))
    world.client("s3").create_bucket(Bucket="code")
    world.client("s3").put_object(Bucket="code", Key="k.zip", Body=zipped({"app.py": EAR}))
    key = world.user("ann", allow("lambda:*", "iam:PassRole"))
    create_from = lambda client: client.create_function(
        FunctionName="f",
        Runtime=python_runtime(),
        Role=ROLE_OF_WORKER,
        Handler="app.handler",
        Code={"S3Bucket": "code", "S3Key": "k.zip"},
    )
    code, status, message = refused(create_from, client=world.client("lambda", key))
    assert (code, status) == ("AccessDeniedException", 403)
    assert message.startswith(
        "Your access has been denied by S3, please make sure your request credentials have permission to GetObject for "
        "code/k.zip. S3 Error Code: AccessDenied. S3 Error Message: "
    ), message
    world.allow("ann", allow("lambda:*", "iam:PassRole", "s3:GetObject"))
    create_from(world.client("lambda", key))


def metric(platform, name, function):
    now = datetime.datetime.now(datetime.timezone.utc)
    points = platform.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=name,
        Dimensions=[{"Name": "FunctionName", "Value": function}],
        StartTime=now - datetime.timedelta(minutes=30),
        EndTime=now + datetime.timedelta(minutes=5),
        Period=60,
        Statistics=["Sum"],
    )
    return sum(point["Sum"] for point in points["Datapoints"])


def test_the_tutorials_thumbnails(platform):
    s3 = platform.client("s3")
    setup(platform, "s3-thumbnail", "pictures", "thumbnails")
    photo = (ROOT / "examples/thumbnail/photo.jpg").read_bytes()
    s3.put_object(Bucket="pictures", Key="my photo.jpg", Body=photo)
    assert eventually(lambda: keys(s3, "thumbnails"), bool) == ["resized-my photo.jpg"]
    thumbnail = s3.get_object(Bucket="thumbnails", Key="resized-my photo.jpg")["Body"].read()
    assert thumbnail[:2] == b"\xff\xd8" and len(thumbnail) < len(photo)
    assert keys(s3, "pictures") == ["my photo.jpg"]


def test_one_bucket_is_a_chain_that_ends(own_platform):
    running = own_platform()
    s3 = running.client("s3")
    setup(running, "s3-thumbnail", "pictures", "pictures")
    s3.put_object(Bucket="pictures", Key="photo.jpg", Body=(ROOT / "examples/thumbnail/photo.jpg").read_bytes())
    dropped = lambda: metric(running, "RecursiveInvocationsDropped", "s3-thumbnail")
    assert eventually(dropped, bool, 90) == 1
    # The photo, and one for each invocation: the chain has ended, nothing more comes.
    chain = ["resized-" * n + "photo.jpg" for n in range(17)]
    assert sorted(keys(s3, "pictures")) == sorted(chain)
    said = running.client("logs").filter_log_events(logGroupName="/aws/lambda/s3-thumbnail", filterPattern="stopped")
    assert "led back to this function more than 16 times" in said["events"][0]["message"]
    assert "nothing is stuck" in running.lambent("events", "stuck").stdout


def test_a_chain_of_functions_works_on_a_film(platform):
    s3 = platform.client("s3")
    setup(platform, "video", "films")
    s3.put_object(Bucket="films", Key="in/film.gif", Body=(ROOT / "examples/video/film.gif").read_bytes())
    assert eventually(lambda: keys(s3, "films", "ready/"), bool, 120) == ["ready/film.gif"]
    film = s3.get_object(Bucket="films", Key="ready/film.gif")["Body"].read()
    assert film[:6] == b"GIF89a"
    assert len(keys(s3, "films", "done/film/")) == len(keys(s3, "films", "frames/film/")) == 12
    progress = platform.client("logs").filter_log_events(logGroupName="/aws/lambda/video-join", filterPattern='"of 12 frames"')
    assert any("film: 12 of 12 frames" in event["message"] for event in progress["events"])


def test_code_lies_in_a_bucket(platform, functions):
    s3 = platform.client("s3")
    s3.create_bucket(Bucket="code", ObjectLockEnabledForBucket=True)
    answer = lambda word: zipped({"app.py": f"def handler(event, context):\n    return {word!r}\n"})
    first = s3.put_object(Bucket="code", Key="a b.zip", Body=answer("one"))["VersionId"]
    s3.put_object(Bucket="code", Key="a b.zip", Body=answer("two"))
    made = functions.create_function(
        FunctionName="from-s3",
        Runtime=python_runtime(),
        Role=ROLE,
        Handler="app.handler",
        Code={"S3Bucket": "code", "S3Key": "a b.zip", "S3ObjectVersion": first},
    )
    assert made["CodeSize"] == len(answer("one"))
    assert invoke(functions, "from-s3")[0] == "one"
    functions.update_function_code(FunctionName="from-s3", S3Bucket="code", S3Key="a b.zip")
    assert invoke(functions, "from-s3")[0] == "two"
    library = zipped({"python/library.py": "WORD = 'three'\n"})
    s3.put_object(Bucket="code", Key="layer.zip", Body=library)
    layer = functions.publish_layer_version(LayerName="s3-layer", Content={"S3Bucket": "code", "S3Key": "layer.zip"})
    create(functions, "s3-layered", {"app.py": "import library\ndef handler(e, c):\n    return library.WORD\n"}, Layers=[layer["LayerVersionArn"]])
    assert invoke(functions, "s3-layered")[0] == "three"
    for code, words in [
        ({"S3Bucket": "code", "S3Key": "none"}, "S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."),
        ({"S3Bucket": "none-such", "S3Key": "k"}, "S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist"),
    ]:
        assert refused(functions.update_function_code, FunctionName="from-s3", **code) == (
            "InvalidParameterValueException",
            400,
            f"Error occurred while GetObject. {words}",
        )
