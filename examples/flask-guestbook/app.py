"""A guestbook: a Flask application as it would run anywhere. Its entries are objects in a bucket, since an environment keeps
nothing: it ends when nobody comes, and others run beside it."""

import json
import os
import time
import uuid

import boto3
from botocore.exceptions import ClientError
from flask import Flask, redirect, render_template, request, url_for

app = Flask(__name__)
s3 = boto3.client("s3")
BUCKET = os.environ.get("BUCKET", "guestbook")
LONGEST = {"name": 40, "text": 500}


@app.get("/")
def page(wrong=None, status=200):
    return render_template("page.html", entries=latest(50), wrong=wrong, longest=LONGEST, form=request.form), status


@app.post("/")
def sign():
    entry = {field: request.form.get(field, "").strip() for field in LONGEST}
    for field, most in LONGEST.items():
        if not 0 < len(entry[field]) <= most:
            return page(f"Your {field} must have 1 to {most} characters.", 400)
    # Keys are listed in order: the newest first when time runs backwards in them.
    key = f"entries/{10**13 - int(time.time() * 1000):013}-{uuid.uuid4()}.json"
    entry["at"] = time.strftime("%d %B %Y, %H:%M", time.gmtime())
    s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(entry).encode(), ContentType="application/json")
    return redirect(url_for("page"), 303)


def latest(most):
    try:
        listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="entries/", MaxKeys=most)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
        s3.create_bucket(Bucket=BUCKET)
        return []
    keys = [one["Key"] for one in listed.get("Contents", [])]
    return [json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys]
