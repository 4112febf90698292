"""A disk budget: what is new is refused when it is used up, what deletes goes on, and room that was made counts at once."""

import os

import pytest
from botocore.exceptions import ClientError

from platform_under_test import create, invoke

CODE = "def handler(event, context):\n    return event.get('n')\n"


def test_a_used_up_budget_refuses_until_something_is_deleted(own_platform):
    running = own_platform("--disk-budget", "256M")
    client = running.client("lambda")
    create(client, "small", {"app.py": CODE})
    made = []
    with pytest.raises(ClientError) as refused:
        for number in range(9):
            # Twice the size: the package, and what is unpacked of it.
            create(client, f"large-{number}", {"app.py": CODE, "data": os.urandom(30_000_000)})
            made.append(f"large-{number}")
    assert 2 <= len(made) <= 5
    assert refused.value.response["Error"]["Code"] == "ServiceException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500, "so SDKs try again"
    assert client.get_function(FunctionName=made[0])["Configuration"]["CodeSize"] > 30_000_000, "reads go on"
    assert invoke(client, "small", {"n": 7})[0] == 7
    for name in made:
        client.delete_function(FunctionName=name)
    create(client, "again", {"app.py": CODE})
    assert invoke(client, "again", {"n": 8})[0] == 8
