//! AWS managed policies that people attach to functions' roles.
//!
//! Source: AWS Managed Policy Reference Guide. Each row is the policy's path, name and what it allows on which resources.

/// One AWS managed policy.
#[derive(Debug)]
pub(crate) struct Managed {
    /// `/` or `/service-role/`.
    pub path: &'static str,
    /// The name.
    pub name: &'static str,
    /// The number of the version in force on AWS is not kept: ours is always `v1`.
    statements: &'static [(&'static [&'static str], &'static [&'static str])],
}

const ANY: &[&str] = &["*"];
const LOGS: &[&str] = &["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"];

const fn policy(
    path: &'static str,
    name: &'static str,
    statements: &'static [(&'static [&'static str], &'static [&'static str])],
) -> Managed {
    Managed { path, name, statements }
}

/// Every one we know, by name.
pub(crate) static ALL: &[Managed] = &[
    policy("/service-role/", "AWSLambdaBasicExecutionRole", &[(LOGS, ANY)]),
    policy(
        "/service-role/",
        "AWSLambdaVPCAccessExecutionRole",
        &[
            (LOGS, ANY),
            (
                &[
                    "ec2:CreateNetworkInterface",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSubnets",
                    "ec2:DeleteNetworkInterface",
                    "ec2:AssignPrivateIpAddresses",
                    "ec2:UnassignPrivateIpAddresses",
                ],
                ANY,
            ),
        ],
    ),
    policy(
        "/service-role/",
        "AWSLambdaSQSQueueExecutionRole",
        &[(&["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], ANY), (LOGS, ANY)],
    ),
    policy(
        "/service-role/",
        "AWSLambdaDynamoDBExecutionRole",
        &[
            (
                &[
                    "dynamodb:DescribeStream",
                    "dynamodb:GetRecords",
                    "dynamodb:GetShardIterator",
                    "dynamodb:ListStreams",
                ],
                ANY,
            ),
            (LOGS, ANY),
        ],
    ),
    policy(
        "/service-role/",
        "AWSLambdaKinesisExecutionRole",
        &[
            (
                &[
                    "kinesis:DescribeStream",
                    "kinesis:DescribeStreamSummary",
                    "kinesis:GetRecords",
                    "kinesis:GetShardIterator",
                    "kinesis:ListShards",
                    "kinesis:ListStreams",
                    "kinesis:SubscribeToShard",
                ],
                ANY,
            ),
            (LOGS, ANY),
        ],
    ),
    policy("/service-role/", "AWSLambdaRole", &[(&["lambda:InvokeFunction"], ANY)]),
    policy(
        "/service-role/",
        "AmazonAPIGatewayPushToCloudWatchLogs",
        &[(
            &[
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogGroups",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
                "logs:GetLogEvents",
                "logs:FilterLogEvents",
            ],
            ANY,
        )],
    ),
    policy(
        "/",
        "AWSLambdaExecute",
        &[(&["logs:*"], &["arn:aws:logs:*:*:*"]), (&["s3:GetObject", "s3:PutObject"], &["arn:aws:s3:::*"])],
    ),
    policy(
        "/",
        "AWSLambda_FullAccess",
        &[
            (
                &[
                    "cloudformation:DescribeStacks",
                    "cloudformation:ListStacks",
                    "cloudformation:ListStackResources",
                    "cloudwatch:ListMetrics",
                    "cloudwatch:GetMetricData",
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeSubnets",
                    "ec2:DescribeVpcs",
                    "kms:ListAliases",
                    "iam:GetPolicy",
                    "iam:GetPolicyVersion",
                    "iam:GetRole",
                    "iam:GetRolePolicy",
                    "iam:ListAttachedRolePolicies",
                    "iam:ListRolePolicies",
                    "iam:ListRoles",
                    "lambda:*",
                    "logs:DescribeLogGroups",
                    "states:DescribeStateMachine",
                    "states:ListStateMachines",
                    "tag:GetResources",
                    "xray:GetTraceSummaries",
                    "xray:BatchGetTraces",
                ],
                ANY,
            ),
            (&["iam:PassRole"], ANY),
            (
                &[
                    "logs:DescribeLogStreams",
                    "logs:GetLogEvents",
                    "logs:FilterLogEvents",
                    "logs:StartLiveTail",
                    "logs:StopLiveTail",
                ],
                &["arn:aws:logs:*:*:log-group:/aws/lambda/*"],
            ),
        ],
    ),
    policy(
        "/",
        "AWSLambda_ReadOnlyAccess",
        &[(&["lambda:Get*", "lambda:List*", "logs:Describe*", "logs:Get*", "logs:FilterLogEvents"], ANY)],
    ),
    policy(
        "/",
        "AWSXRayDaemonWriteAccess",
        &[(
            &[
                "xray:PutTraceSegments",
                "xray:PutTelemetryRecords",
                "xray:GetSamplingRules",
                "xray:GetSamplingTargets",
                "xray:GetSamplingStatisticSummaries",
            ],
            ANY,
        )],
    ),
    policy("/", "AdministratorAccess", &[(ANY, ANY)]),
    policy("/", "AmazonS3FullAccess", &[(&["s3:*", "s3-object-lambda:*"], ANY)]),
    policy(
        "/",
        "AmazonS3ReadOnlyAccess",
        &[(&["s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"], ANY)],
    ),
    policy("/", "AmazonSQSFullAccess", &[(&["sqs:*"], ANY)]),
    policy(
        "/",
        "AmazonSQSReadOnlyAccess",
        &[(&["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListDeadLetterSourceQueues", "sqs:ListQueues"], ANY)],
    ),
    policy("/", "AmazonSNSFullAccess", &[(&["sns:*"], ANY)]),
    policy("/", "AmazonKinesisFullAccess", &[(&["kinesis:*"], ANY)]),
    policy("/", "CloudWatchLogsFullAccess", &[(&["logs:*"], ANY)]),
    policy("/", "SecretsManagerReadWrite", &[(&["secretsmanager:*"], ANY)]),
    policy("/", "AmazonSSMReadOnlyAccess", &[(&["ssm:Describe*", "ssm:Get*", "ssm:List*"], ANY)]),
    policy("/", "AmazonSSMFullAccess", &[(&["cloudwatch:PutMetricData", "ssm:*"], ANY)]),
    policy("/", "AmazonEventBridgeFullAccess", &[(&["events:*", "schemas:*", "scheduler:*", "pipes:*"], ANY)]),
    policy("/", "AWSStepFunctionsFullAccess", &[(&["states:*"], ANY)]),
    policy("/", "AmazonDynamoDBFullAccess", &[(&["dynamodb:*", "dax:*"], ANY)]),
    policy(
        "/",
        "AmazonDynamoDBReadOnlyAccess",
        &[(
            &[
                "dynamodb:BatchGetItem",
                "dynamodb:Describe*",
                "dynamodb:List*",
                "dynamodb:GetItem",
                "dynamodb:GetResourcePolicy",
                "dynamodb:Query",
                "dynamodb:Scan",
                "dynamodb:PartiQLSelect",
            ],
            ANY,
        )],
    ),
];

impl Managed {
    /// `arn:aws:iam::aws:policy/path/name`
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:iam::aws:policy{}{}", self.path, self.name)
    }

    /// The JSON text.
    pub(crate) fn document(&self) -> String {
        let statements: Vec<_> = self
            .statements
            .iter()
            .map(
                |(actions, resources)| serde_json::json!({"Effect": "Allow", "Action": actions, "Resource": resources}),
            )
            .collect();
        serde_json::json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }

    /// `ANPA…`, derived from the name: every installation shows the same.
    pub(crate) fn id(&self) -> String {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        // FNV-1a, 128 bits: nothing secret rests on it.
        let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        for byte in self.name.bytes() {
            hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
        let tail = (0..17).map(|at| char::from(LETTERS[(hash >> (at * 5) & 31) as usize]));
        "ANPA".chars().chain(tail).collect()
    }
}

/// The AWS managed policy of an ARN.
pub(crate) fn find(arn: &str) -> Option<&'static Managed> {
    let rest = arn.strip_prefix("arn:aws:iam::aws:policy")?;
    ALL.iter().find(|policy| rest.strip_prefix(policy.path) == Some(policy.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::document::{Purpose, read};

    #[test]
    fn every_managed_policy_reads_and_is_found_by_its_arn() {
        for policy in ALL {
            read(&policy.document(), Purpose::Identity).unwrap();
            assert_eq!(find(&policy.arn()).map(|found| found.name), Some(policy.name));
            assert_eq!(policy.id().len(), 21);
        }
        assert!(find("arn:aws:iam::aws:policy/AWSLambdaBasicExecutionRole").is_none(), "the path belongs to the ARN");
    }
}
