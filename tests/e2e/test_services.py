"""Services that the platform knows and does not serve yet: each refuses by name, in the shape of its own errors."""

import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

# A client, its operation and what that needs.
CALLS = [
    ("apigateway", "get_usage_plans", {}),
    ("apigatewayv2", "get_domain_names", {}),
    ("apigatewaymanagementapi", "post_to_connection", {"ConnectionId": "c", "Data": b"hello"}),
    ("appsync", "list_graphql_apis", {}),
    ("cloudformation", "describe_stacks", {}),
    ("cloudwatch", "describe_alarms", {}),
    ("cognito-idp", "list_user_pools", {"MaxResults": 1}),
    ("dynamodb", "list_tables", {}),
    ("dynamodbstreams", "list_streams", {}),
    ("ec2", "describe_vpcs", {}),
    ("ecr", "describe_repositories", {}),
    ("ecs", "list_clusters", {}),
    ("events", "list_rules", {}),
    ("kinesis", "list_streams", {}),
    ("kms", "list_keys", {}),
    ("pipes", "list_pipes", {}),
    ("rds", "describe_db_clusters", {}),
    ("rds-data", "begin_transaction", {"resourceArn": "arn:aws:rds:us-east-1:000000000000:cluster:c", "secretArn": "arn:aws:secretsmanager:us-east-1:0:secret:s"}),
    ("scheduler", "list_schedules", {}),
    ("secretsmanager", "list_secrets", {}),
    ("sesv2", "list_email_identities", {}),
    ("sns", "list_topics", {}),
    ("sqs", "list_queues", {}),
    ("ssm", "get_parameter", {"Name": "/app/db"}),
    ("stepfunctions", "list_state_machines", {}),
    ("xray", "get_groups", {}),
]


def refusal(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"].get("Message", "")


@pytest.mark.parametrize(("service", "operation", "arguments"), CALLS, ids=[f"{one[0]}-{one[1]}" for one in CALLS])
def test_a_service_without_handlers_refuses_by_name(platform, service, operation, arguments):
    made = platform.client(service, inject_host_prefix=False)
    name = made.meta.method_to_api_mapping[operation]
    try:
        getattr(made, operation)(**arguments)
    except ClientError as error:
        answer = error.response
    else:
        pytest.skip(f"{service} is served: its own tests say how")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 501, answer
    assert answer["Error"]["Code"] == "NotImplemented", answer
    assert f"Lambent does not implement {service}:{name};" in answer["Error"]["Message"]
    assert len(answer["ResponseMetadata"]["RequestId"]) > 10


def test_an_operation_that_the_model_leaves_out_is_refused_by_name_too(platform):
    for service, operation, arguments, said in [
        ("s3", "list_bucket_analytics_configurations", {"Bucket": "bucket"}, "s3:ListBucketAnalyticsConfigurations"),
        ("ec2", "run_instances", {"MinCount": 1, "MaxCount": 1}, "ec2:RunInstances"),
        ("sesv2", "list_contact_lists", {}, "sesv2:ListContactLists"),
        ("apigateway", "get_vpc_links", {}, "apigateway:GetVpcLinks"),
    ]:
        code, status, message = refusal(getattr(platform.client(service, inject_host_prefix=False), operation), **arguments)
        assert (code, status) == ("NotImplemented", 501), message
        assert said in message


def test_a_bucket_in_the_hosts_name_reaches_the_store_and_the_platforms_own_pages_stay(platform):
    keyed = {"Host": "bucket.s3.localhost"}
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(f"{platform.endpoint}/a/key", headers=keyed))
    assert caught.value.code == 404
    assert b"<Code>NoSuchBucket</Code>" in caught.value.read() and caught.value.headers["content-type"] == "application/xml"
    with urllib.request.urlopen(urllib.request.Request(f"{platform.endpoint}/_lambent/health", headers=keyed)) as health:
        assert health.status == 200
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{platform.endpoint}/a/key")
    assert caught.value.code == 404, "what is not signed for S3 is not S3's"


def test_the_aws_cli_is_told_what_is_refused(platform):
    told = {"AWS_MAX_ATTEMPTS": "1"}
    done = platform.cli("cloudformation", "list-exports", check=False, environment=told)
    assert done.returncode != 0
    assert "(NotImplemented)" in done.stderr and "cloudformation:ListExports" in done.stderr, done.stderr
