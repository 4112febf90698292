"""Notes as objects of a bucket: what a database would be for an application that has more to ask of its data."""

import json
import uuid

import boto3
from botocore.exceptions import ClientError
from django.conf import settings

s3 = boto3.client("s3")


def all_notes():
    try:
        pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=settings.BUCKET, Prefix="notes/"))
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
        s3.create_bucket(Bucket=settings.BUCKET)
        return []
    listed = [one for page in pages for one in page.get("Contents", [])]
    listed.sort(key=lambda one: one["LastModified"], reverse=True)
    notes = []
    for one in listed[:100]:
        body = s3.get_object(Bucket=settings.BUCKET, Key=one["Key"])["Body"].read()
        notes.append({"id": one["Key"].removeprefix("notes/"), "at": one["LastModified"], **json.loads(body)})
    return notes


def add(title, text):
    body = json.dumps({"title": title, "text": text}).encode()
    s3.put_object(Bucket=settings.BUCKET, Key=f"notes/{uuid.uuid4()}", Body=body, ContentType="application/json")


def delete(note):
    s3.delete_object(Bucket=settings.BUCKET, Key=f"notes/{note}")
