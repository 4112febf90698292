//! Small services written like the generated model: one REST, one awsJson, one query.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "written as the generated model is; each user takes a part of it"
)]

use std::collections::BTreeMap;

use base::Timestamp;
use bytes::Bytes;
use wire::{Document, Kind, Location as L, Member, Protocol, Shape, TimestampFormat};

pub static REST: wire::Service = wire::Service {
    name: "lambda",
    signing_name: "lambda",
    target_prefix: "",
    version: "2015-03-31",
    xml_namespace: "",
    protocols: &[Protocol::RestJson],
    operations: &[
        &rest::CREATE_FUNCTION,
        &rest::GET_FUNCTION,
        &rest::GET_LAYER,
        &rest::INVOKE,
        &rest::LIST_LAYERS,
        &rest::TAG,
    ],
    ..wire::Service::new("")
};

pub static JSON: wire::Service = wire::Service {
    name: "logs",
    signing_name: "logs",
    target_prefix: "Logs_20140328",
    version: "2014-03-28",
    xml_namespace: "",
    protocols: &[Protocol::Json11],
    operations: &[&json::PUT_THING],
    others: &[wire::Other("StartQuery", "", "")],
    ..wire::Service::new("")
};

pub static QUERY: wire::Service = wire::Service {
    name: "iam",
    signing_name: "iam",
    target_prefix: "",
    version: "2010-05-08",
    xml_namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
    protocols: &[Protocol::Query],
    operations: &[&query::CREATE_ROLE],
    others: &[wire::Other("CreateGroup", "", "")],
    ..wire::Service::new("")
};

/// Speaks restXml as S3 does.
pub static STORE: wire::Service = wire::Service {
    signing_name: "s3",
    version: "2006-03-01",
    xml_namespace: "http://s3.amazonaws.com/doc/2006-03-01/",
    protocols: &[Protocol::RestXml],
    operations: &[&store::GET_PLACE, &store::LIST_THINGS, &store::PUT_RULES],
    others: &[
        wire::Other("CopyRules", "PUT", "/{Bucket}?rules#x-amz-copy-source"),
        wire::Other("GetBucketTagging", "GET", "/{Bucket}?tagging"),
        wire::Other("PutPartOfRules", "PUT", "/{Bucket}?rules&uploadId"),
    ],
    bare_errors: true,
    ..wire::Service::new("s3")
};

/// Speaks restXml as Route 53 does.
pub static ZONES: wire::Service = wire::Service {
    version: "2013-04-01",
    xml_namespace: "https://route53.amazonaws.com/doc/2013-04-01/",
    protocols: &[Protocol::RestXml],
    operations: &[&zones::CHANGE],
    ..wire::Service::new("route53")
};

pub static MACHINES: wire::Service = wire::Service {
    version: "2016-11-15",
    xml_namespace: "http://ec2.amazonaws.com/doc/2016-11-15",
    protocols: &[Protocol::Ec2Query],
    operations: &[&machines::RUN],
    others: &[wire::Other("StopInstances", "", "")],
    ..wire::Service::new("ec2")
};

/// Speaks three protocols, as CloudWatch does.
pub static METRICS: wire::Service = wire::Service {
    signing_name: "monitoring",
    target_prefix: "GraniteServiceVersion20100801",
    version: "2010-08-01",
    xml_namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/",
    protocols: &[Protocol::Cbor, Protocol::Json10, Protocol::Query],
    operations: &[&metrics::PUT],
    others: &[wire::Other("GetMetricData", "", "")],
    query_compatible: true,
    ..wire::Service::new("cloudwatch")
};

pub static TABLES: wire::Service = wire::Service {
    target_prefix: "DynamoDB_20120810",
    version: "2012-08-10",
    protocols: &[Protocol::Json10],
    operations: &[&tables::PUT],
    ..wire::Service::new("dynamodb")
};

pub static SERVICES: &[&wire::Service] = &[&QUERY, &REST, &JSON, &STORE, &ZONES, &MACHINES, &METRICS, &TABLES];

static TEXT: Shape = Shape::new("String", Kind::Text);
static NAME: Shape = Shape::new("FunctionName", Kind::Text).min(1).max(64).pattern("[a-zA-Z0-9-_]+");
static ROLE_ARN: Shape =
    Shape::new("RoleArn", Kind::Text).pattern(r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+");
static RUNTIME: Shape = Shape::new("Runtime", Kind::Text).values(&["nodejs22.x", "python3.13"]);
static TIMEOUT: Shape = Shape::new("Timeout", Kind::Integer).min(1).max(900);
static FLAG: Shape = Shape::new("Boolean", Kind::Boolean);
static SIZE: Shape = Shape::new("Long", Kind::Long);
static WEIGHT: Shape = Shape::new("Weight", Kind::Double).min(0).max(1);
static MOMENT: Shape = Shape::new("Timestamp", Kind::Timestamp);
static BLOB: Shape = Shape::new("Blob", Kind::Blob);
static FREE: Shape = Shape::new("Document", Kind::Document);
static KEY: Shape = Shape::new("EnvironmentVariableName", Kind::Text).pattern("[a-zA-Z]([a-zA-Z0-9_])+").sensitive();
static SECRET: Shape = Shape::new("EnvironmentVariableValue", Kind::Text).sensitive();
static PASSWORD: Shape = Shape::new("Password", Kind::Text).min(8).sensitive();
static VARIABLES: Shape =
    Shape::new("EnvironmentVariables", Kind::Map(&Member::new("key", &KEY), &Member::new("value", &SECRET)))
        .sensitive();
static LAYER: Shape = Shape::new("LayerVersionArn", Kind::Text).min(1).max(140).pattern("arn:[a-z:]+");
static LAYERS: Shape = Shape::new("LayerList", Kind::List(&Member::new("member", &LAYER)));
static WEIGHTS: Shape = Shape::new("Weights", Kind::Map(&Member::new("key", &TEXT), &Member::new("value", &WEIGHT)));
static TAG_KEY: Shape = Shape::new("TagKey", Kind::Text).min(1).max(8);
static TAG: Shape =
    Shape::new("Tag", Kind::Structure(&[Member::new("Key", &TAG_KEY).required(), Member::new("Value", &TEXT)]));
wire::structure! { Tag = TAG { 0 key: String, 1 value: String, } }
static TAGS: Shape = Shape::new("TagList", Kind::List(&Member::new("member", &TAG))).max(2);
static CODE: Shape = Shape::new(
    "FunctionCode",
    Kind::Structure(&[Member::new("ZipFile", &BLOB), Member::new("S3Bucket", &TEXT), Member::new("S3Key", &TEXT)]),
);
wire::structure! { FunctionCode = CODE { 0 zip_file: Bytes, 1 s3_bucket: String, 2 s3_key: String, } }
static ENVIRONMENT: Shape = Shape::new("Environment", Kind::Structure(&[Member::new("Variables", &VARIABLES)]));
wire::structure! { Environment = ENVIRONMENT { 0 variables: BTreeMap<String, String>, } }

static CREATE_FUNCTION_REQUEST: Shape = Shape::new(
    "CreateFunctionRequest",
    Kind::Structure(&[
        Member::new("FunctionName", &NAME).required(),
        Member::new("Runtime", &RUNTIME),
        Member::new("Role", &ROLE_ARN).required(),
        Member::new("Handler", &TEXT),
        Member::new("Code", &CODE).required(),
        Member::new("Description", &TEXT),
        Member::new("Timeout", &TIMEOUT),
        Member::new("MemorySize", &SIZE),
        Member::new("Publish", &FLAG),
        Member::new("Environment", &ENVIRONMENT),
        Member::new("Layers", &LAYERS),
        Member::new("Tags", &TAGS),
        Member::new("Weights", &WEIGHTS),
        Member::new("KMSKeyArn", &NAME),
        Member::new("At", &MOMENT),
        Member::new("On", &MOMENT).format(TimestampFormat::Iso8601),
        Member::new("Free", &FREE),
        Member::new("Password", &PASSWORD),
    ]),
);
wire::structure! { CreateFunctionRequest = CREATE_FUNCTION_REQUEST {
    0 function_name: String, 1 runtime: String, 2 role: String, 3 handler: String, 4 code: FunctionCode,
    5 description: String, 6 timeout: i64, 7 memory_size: i64, 8 publish: bool, 9 environment: Environment,
    10 layers: Vec<String>, 11 tags: Vec<Tag>, 12 weights: BTreeMap<String, f64>, 13 kms_key_arn: String,
    14 at: Timestamp, 15 on: Timestamp, 16 free: Document, 17 password: String,
} }

static GET_FUNCTION_REQUEST: Shape = Shape::new(
    "GetFunctionRequest",
    Kind::Structure(&[
        Member::new("FunctionName", &TEXT).at(L::Uri).required(),
        Member::new("Qualifier", &TEXT).at(L::Query),
    ]),
);
wire::structure! { GetFunctionRequest = GET_FUNCTION_REQUEST { 0 function_name: String, 1 qualifier: String, } }

static INVOKE_REQUEST: Shape = Shape::new(
    "InvocationRequest",
    Kind::Structure(&[
        Member::new("FunctionName", &TEXT).at(L::Uri).required(),
        Member::new("InvocationType", &TEXT).at(L::Header).wire("X-Amz-Invocation-Type"),
        Member::new("Payload", &BLOB).at(L::Payload),
    ]),
);
wire::structure! { InvocationRequest = INVOKE_REQUEST { 0 function_name: String, 1 invocation_type: String, 2 payload: Bytes, } }

static INVOKE_RESPONSE: Shape = Shape::new(
    "InvocationResponse",
    Kind::Structure(&[
        Member::new("StatusCode", &TIMEOUT).at(L::Status),
        Member::new("FunctionError", &TEXT).at(L::Header).wire("X-Amz-Function-Error"),
        Member::new("Payload", &BLOB).at(L::Payload),
    ]),
);
wire::structure! { InvocationResponse = INVOKE_RESPONSE { 0 status_code: i64, 1 function_error: String, 2 payload: Bytes, } }

static THROTTLE: Shape = Shape::new(
    "TooManyRequestsException",
    Kind::Structure(&[
        Member::new("retryAfterSeconds", &TEXT).at(L::Header).wire("Retry-After"),
        Member::new("Type", &TEXT),
        Member::new("message", &TEXT),
        Member::new("Reason", &TEXT),
    ]),
);
wire::error!(too_many_requests = THROTTLE_ERROR("TooManyRequestsException", "TooManyRequestsException", 429, THROTTLE));
static NOT_FOUND: Shape = Shape::new(
    "ResourceNotFoundException",
    Kind::Structure(&[Member::new("Type", &TEXT), Member::new("Message", &TEXT)]),
);
wire::error!(not_found = NOT_FOUND_ERROR("ResourceNotFoundException", "ResourceNotFoundException", 404, NOT_FOUND));
static NO_ENTITY: Shape = Shape::new("NoSuchEntityException", Kind::Structure(&[Member::new("message", &TEXT)]));
wire::error!(no_such_entity = NO_ENTITY_ERROR("NoSuchEntityException", "NoSuchEntity", 404, NO_ENTITY));
static INVALID: Shape = Shape::new("InvalidParameterException", Kind::Structure(&[]));
wire::error!(invalid_parameter = INVALID_ERROR("InvalidParameterException", "InvalidParameterException", 400, INVALID));

static STATE: Shape = Shape::new("State", Kind::Text).values(&["Enabled", "Disabled"]);
static RULE: Shape = Shape::new(
    "Rule",
    Kind::Structure(&[
        Member::new("ID", &TEXT).required(),
        Member::new("Days", &TIMEOUT),
        Member::new("Status", &STATE),
        Member::new("Date", &MOMENT),
        Member::new("Blob", &BLOB),
        Member::new("On", &FLAG),
    ]),
);
wire::structure! { Rule = RULE { 0 id: String, 1 days: i64, 2 status: String, 3 date: Timestamp, 4 blob: Bytes, 5 on: bool, } }
static RULES: Shape = Shape::new("RuleList", Kind::List(&Member::new("member", &RULE)));
static RULE_SET: Shape =
    Shape::new("RuleSet", Kind::Structure(&[Member::new("Rules", &RULES).wire("Rule").flattened()]));
wire::structure! { RuleSet = RULE_SET { 0 rules: Vec<Rule>, } }
static PUT_RULES_REQUEST: Shape = Shape::new(
    "PutRulesRequest",
    Kind::Structure(&[
        Member::new("Bucket", &TEXT).at(L::Uri).required(),
        Member::new("Acl", &STATE).at(L::Header).wire("x-amz-acl"),
        Member::new("Part", &TIMEOUT).at(L::Query).wire("partNumber"),
        Member::new("Since", &MOMENT).at(L::Header).wire("If-Modified-Since"),
        Member::new("Until", &MOMENT).at(L::Header).wire("x-amz-until"),
        Member::new("RuleSet", &RULE_SET)
            .at(L::Payload)
            .wire("RuleConfiguration")
            .required()
            .namespace("", "http://s3.amazonaws.com/doc/2006-03-01/"),
    ]),
);
wire::structure! { PutRulesRequest = PUT_RULES_REQUEST {
    0 bucket: String, 1 acl: String, 2 part: i64, 3 since: Timestamp, 4 until: Timestamp, 5 rule_set: RuleSet,
} }
static LIST_REQUEST: Shape = Shape::new(
    "ListThingsRequest",
    Kind::Structure(&[
        Member::new("Bucket", &TEXT).at(L::Uri).required(),
        Member::new("MaxKeys", &TIMEOUT).at(L::Query).wire("max-keys"),
    ]),
);
wire::structure! { ListThingsRequest = LIST_REQUEST { 0 bucket: String, 1 max_keys: i64, } }
static LIST_OUTPUT: Shape = Shape::new(
    "ListThingsOutput",
    Kind::Structure(&[Member::new("Name", &TEXT), Member::new("Rules", &RULES).wire("Contents").flattened()]),
);
wire::structure! { ListThingsOutput = LIST_OUTPUT { 0 name: String, 1 rules: Vec<Rule>, } }
static PLACE_OUTPUT: Shape = Shape::new("GetPlaceOutput", Kind::Structure(&[Member::new("LocationConstraint", &TEXT)]));
wire::structure! { GetPlaceOutput = PLACE_OUTPUT { 0 location_constraint: String, } }
static INVALID_INPUT: Shape = Shape::new("InvalidInput", Kind::Structure(&[Member::new("message", &TEXT)]));
wire::error!(invalid_input = INVALID_INPUT_ERROR("InvalidInput", "InvalidInput", 400, INVALID_INPUT));
static LIMIT: Shape = Shape::new("LimitExceededFault", Kind::Structure(&[Member::new("message", &TEXT)]));
wire::error!(limit_exceeded = LIMIT_ERROR("LimitExceededFault", "LimitExceeded", 400, LIMIT));

pub mod store {
    wire::operation! { GetPlace = GET_PLACE in STORE, "GET" "/{Bucket}?location" 200, super::GetFunctionRequest => super::GetPlaceOutput, "", [], "s3:GetBucketLocation" on "*", unwrapped "LocationConstraint" }
    wire::operation! { ListThings = LIST_THINGS in STORE, "GET" "/{Bucket}" 200, super::ListThingsRequest => super::ListThingsOutput, "", [], "s3:ListBucket" on "*", root "ListBucketResult" }
    wire::operation! { PutRules = PUT_RULES in STORE, "PUT" "/{Bucket}?rules" 200, super::PutRulesRequest => wire::Unit, "", [], "s3:PutRules" on "*" }
}

pub mod zones {
    wire::operation! { Change = CHANGE in ZONES, "POST" "/2013-04-01/change" 200, super::RuleSet => super::RuleSet, "", [INVALID_INPUT_ERROR], "route53:Change" on "*" }
}

pub mod machines {
    wire::operation! { RunInstances = RUN in MACHINES, "POST" "/" 200, super::CreateFunctionRequest => super::CreateFunctionRequest, "", [], "ec2:RunInstances" on "*" }
}

pub mod metrics {
    wire::operation! { PutMetricData = PUT in METRICS, "POST" "/" 200, super::CreateFunctionRequest => super::CreateFunctionRequest, "PutMetricDataResult", [LIMIT_ERROR], "cloudwatch:PutMetricData" on "*" }
}

pub mod tables {
    wire::operation! { PutItem = PUT in TABLES, "POST" "/" 200, super::CreateFunctionRequest => super::CreateFunctionRequest, "", [NOT_FOUND_ERROR], "dynamodb:PutItem" on "*" }
}

pub mod rest {
    wire::operation! { CreateFunction = CREATE_FUNCTION in REST, "POST" "/2015-03-31/functions" 201, super::CreateFunctionRequest => super::CreateFunctionRequest, "", [THROTTLE_ERROR], "lambda:CreateFunction" on "*" }
    wire::operation! { GetFunction = GET_FUNCTION in REST, "GET" "/2015-03-31/functions/{FunctionName}" 200, super::GetFunctionRequest => super::CreateFunctionRequest, "", [NOT_FOUND_ERROR], "lambda:GetFunction" on "*" }
    wire::operation! { Invoke = INVOKE in REST, "POST" "/2015-03-31/functions/{FunctionName}/invocations" 200, super::InvocationRequest => super::InvocationResponse, "", [THROTTLE_ERROR], "lambda:InvokeFunction" on "*" }
    wire::operation! { ListLayers = LIST_LAYERS in REST, "GET" "/2018-10-31/layers" 200, wire::Unit => wire::Unit, "", [], "lambda:ListLayers" on "*" }
    wire::operation! { GetLayer = GET_LAYER in REST, "GET" "/2018-10-31/layers?find=LayerVersion" 200, wire::Unit => wire::Unit, "", [], "lambda:GetLayer" on "*" }
    wire::operation! { Tag = TAG in REST, "POST" "/2017-03-31/tags/{FunctionName}" 204, super::GetFunctionRequest => wire::Unit, "", [], "lambda:Tag" on "*" }
}

pub mod json {
    wire::operation! { PutThing = PUT_THING in JSON, "POST" "/" 200, super::CreateFunctionRequest => super::CreateFunctionRequest, "", [INVALID_ERROR], "logs:PutThing" on "*" }
}

pub mod query {
    wire::operation! { CreateRole = CREATE_ROLE in QUERY, "POST" "/" 200, super::CreateFunctionRequest => super::CreateFunctionRequest, "CreateRoleResult", [NO_ENTITY_ERROR], "iam:CreateRole" on "*" }
}

/// A CreateFunction with everything set.
pub fn full() -> CreateFunctionRequest {
    CreateFunctionRequest {
        function_name: Some("thumbnail".into()),
        runtime: Some("python3.13".into()),
        role: Some("arn:aws:iam::123456789012:role/service/x".into()),
        handler: Some("app.handler".into()),
        code: Some(FunctionCode {
            zip_file: Some(Bytes::from_static(b"PK\x03\x04\x00\xff")),
            ..FunctionCode::default()
        }),
        description: Some("<a & b> \"c\" \u{1F600}\n".into()),
        timeout: Some(30),
        memory_size: Some(1769),
        publish: Some(true),
        environment: Some(Environment {
            variables: Some([("TABLE".to_owned(), "t 1".to_owned()), ("AA".to_owned(), String::new())].into()),
        }),
        layers: Some(vec!["arn:aws:a".into(), "arn:aws:b".into()]),
        tags: Some(vec![
            Tag { key: Some("a".into()), value: Some("1".into()) },
            Tag { key: Some("b".into()), value: None },
        ]),
        weights: Some([("1".to_owned(), 0.25)].into()),
        kms_key_arn: None,
        at: Some(Timestamp(1_795_257_600_500)),
        on: Some(Timestamp(1_795_257_600_000)),
        free: Some(serde_json::json!({"a": [1, null, "x"]})),
        password: None,
    }
}
