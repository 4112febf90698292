//! APIs as definitions: what tools write, in and out.

use base::Account;
use model::apigateway::{self as aws, ops};
use serde_json::{Value, json};

use super::world::{Rest, rest, texts, uri};
use crate::world::{Does, FUNCTION, refused, request, root};

impl Rest {
    async fn import(&self, whole: &Value) -> Result<aws::RestApi, base::Fault> {
        self.call::<ops::ImportRestApi>(rest!(ImportRestApiRequest { body: whole.to_string() })).await
    }

    async fn put(&self, api: &str, mode: &str, whole: &Value) -> Result<aws::RestApi, base::Fault> {
        self.call::<ops::PutRestApi>(rest!(PutRestApiRequest { rest_api_id: api, mode: mode, body: whole.to_string() }))
            .await
    }

    /// Path and methods of each resource, by path.
    async fn paths(&self, api: &str) -> Vec<(String, Vec<String>)> {
        let all = self.call::<ops::GetResources>(rest!(GetResourcesRequest { rest_api_id: api })).await.unwrap();
        let one = |one: aws::Resource| {
            let methods = one.resource_methods.unwrap_or_default().into_keys().collect();
            (one.path.unwrap(), methods)
        };
        let mut all: Vec<_> = all.items.unwrap().into_iter().map(one).collect();
        all.sort();
        all
    }

    async fn export(&self, api: &str, kind: &str, extensions: &str, accepts: &str) -> aws::ExportResponse {
        let input = rest!(GetExportRequest {
            rest_api_id: api,
            stage_name: "dev",
            export_type: kind,
            parameters: texts(&[("extensions", extensions)]),
            accepts: accepts,
        });
        self.call::<ops::GetExport>(input).await.unwrap()
    }

    /// An API as it is shown in all its parts, without ids.
    async fn whole(&self, api: &str) -> Value {
        let id = |one: &Option<String>| one.clone().unwrap();
        let resources = rest!(GetResourcesRequest { rest_api_id: api, embed: vec!["methods".to_owned()] });
        let resources = self.call::<ops::GetResources>(resources).await.unwrap().items.unwrap();
        let models = self.call::<ops::GetModels>(rest!(GetModelsRequest { rest_api_id: api })).await.unwrap();
        let judges = self.call::<ops::GetAuthorizers>(rest!(GetAuthorizersRequest { rest_api_id: api })).await.unwrap();
        let validators = rest!(GetRequestValidatorsRequest { rest_api_id: api });
        let validators = self.call::<ops::GetRequestValidators>(validators).await.unwrap();
        let responses = rest!(GetGatewayResponsesRequest { rest_api_id: api, limit: 500 });
        let responses = self.call::<ops::GetGatewayResponses>(responses).await.unwrap();
        let shown = self.call::<ops::GetRestApi>(rest!(GetRestApiRequest { rest_api_id: api })).await.unwrap();
        let mut text = format!(
            "{:#?}",
            (
                (
                    shown.name,
                    shown.description,
                    shown.version,
                    shown.binary_media_types,
                    shown.api_key_source,
                    shown.minimum_compression_size
                ),
                (&resources, &models.items, &judges.items, &validators.items, responses.items)
            )
        );
        let mut named = vec![(api.to_owned(), "api".to_owned())];
        named.extend(resources.iter().map(|one| (id(&one.id), id(&one.path))));
        named.extend(models.items.iter().flatten().map(|one| (id(&one.id), id(&one.name))));
        named.extend(judges.items.iter().flatten().map(|one| (id(&one.id), id(&one.name))));
        named.extend(validators.items.iter().flatten().map(|one| (id(&one.id), id(&one.name))));
        for (id, name) in named {
            text = text.replace(&id, &name);
        }
        // Resources stand in the order of their ids.
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        json!(lines)
    }
}

/// What `chalice` writes of an app with a view, CORS and an authorizer.
fn chalice() -> Value {
    let proxy = json!({
        "responses": {"default": {"statusCode": "200"}}, "uri": uri(), "passthroughBehavior": "when_no_match",
        "httpMethod": "POST", "contentHandling": "CONVERT_TO_TEXT", "type": "aws_proxy",
    });
    let ok = json!({"200": {"description": "200 response", "schema": {"$ref": "#/definitions/Empty"}}});
    json!({
        "swagger": "2.0",
        "info": {"version": "1.0", "title": "app"},
        "schemes": ["https"],
        "paths": {
            "/": {"get": {
                "consumes": ["application/json"], "produces": ["application/json"], "responses": ok,
                "x-amazon-apigateway-integration": proxy, "summary": "Says hello", "description": "And more.",
            }},
            "/users/{name}": {
                "post": {
                    "consumes": ["application/json"], "produces": ["application/json"], "responses": ok,
                    "x-amazon-apigateway-integration": proxy, "security": [{"judge": []}],
                    "parameters": [{"name": "name", "in": "path", "required": true, "type": "string"}],
                },
                "options": {
                    "consumes": ["application/json"], "produces": ["application/json"],
                    "responses": {"200": {
                        "description": "200 response", "schema": {"$ref": "#/definitions/Empty"},
                        "headers": {"Access-Control-Allow-Methods": {"type": "string"},
                            "Access-Control-Allow-Origin": {"type": "string"}},
                    }},
                    "x-amazon-apigateway-integration": {
                        "responses": {"default": {"statusCode": "200", "responseParameters": {
                            "method.response.header.Access-Control-Allow-Methods": "'POST,OPTIONS'",
                            "method.response.header.Access-Control-Allow-Origin": "'*'",
                        }}},
                        "requestTemplates": {"application/json": "{\"statusCode\": 200}"},
                        "passthroughBehavior": "when_no_match", "type": "mock", "contentHandling": "CONVERT_TO_TEXT",
                    },
                },
            },
        },
        "definitions": {"Empty": {"type": "object", "title": "Empty Schema"}},
        "securityDefinitions": {"judge": {
            "in": "header", "type": "apiKey", "name": "Authorization", "x-amazon-apigateway-authtype": "custom",
            "x-amazon-apigateway-authorizer": {"type": "token", "authorizerUri": uri(), "authorizerResultTtlInSeconds": 5},
        }},
        "x-amazon-apigateway-binary-media-types": ["application/octet-stream", "image/png"],
    })
}

/// What SAM writes of a function with two events and CORS.
fn sam() -> Value {
    let proxy = json!({"httpMethod": "POST", "type": "aws_proxy", "uri": uri()});
    json!({
        "swagger": "2.0",
        "info": {"version": "1.0", "title": "stack"},
        "basePath": "/Prod",
        "paths": {
            "/hello": {
                "get": {"x-amazon-apigateway-integration": proxy, "responses": {}},
                "options": {
                    "summary": "CORS support", "consumes": ["application/json"], "produces": ["application/json"],
                    "x-amazon-apigateway-integration": {
                        "type": "mock", "requestTemplates": {"application/json": "{\n  \"statusCode\" : 200\n}\n"},
                        "responses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": "{}\n"},
                            "responseParameters": {"method.response.header.Access-Control-Allow-Origin": "'*'"}}},
                    },
                    "responses": {"200": {"description": "Default response for CORS method",
                        "headers": {"Access-Control-Allow-Origin": {"type": "string"}}}},
                },
            },
            "/{proxy+}": {"x-amazon-apigateway-any-method": {
                "x-amazon-apigateway-integration": proxy, "responses": {}, "security": [{"AWS_IAM": []}],
                "x-amazon-apigateway-auth": {"type": "AWS_IAM"},
            }},
        },
        "securityDefinitions": {"AWS_IAM": {
            "in": "header", "type": "apiKey", "name": "Authorization", "x-amazon-apigateway-authtype": "awsSigv4",
        }},
        "x-amazon-apigateway-gateway-responses": {
            "DEFAULT_4XX": {"responseParameters": {"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"}},
            "MISSING_AUTHENTICATION_TOKEN": {"statusCode": 404, "responseTemplates": {"application/json": "{}"}},
        },
    })
}

/// One with models and validators.
fn checked() -> Value {
    json!({
        "openapi": "3.0.1",
        "info": {"title": "pets", "version": "2", "description": "all of them"},
        "paths": {"/pets": {"post": {
            "operationId": "add",
            "parameters": [{"name": "x-kind", "in": "header", "required": true, "schema": {"type": "string"}}],
            "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}},
            "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "string"}}}}},
            "x-amazon-apigateway-integration": {
                "type": "AWS_PROXY", "httpMethod": "POST", "uri": uri(), "timeoutInMillis": 1000,
                "requestParameters": {"integration.request.header.kind": "method.request.header.x-kind"},
            },
        }}},
        "components": {"schemas": {
            "Pet": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"}, "kind": {"$ref": "#/components/schemas/Kind"}}},
            "Kind": {"type": "string", "enum": ["cat", "dog"]},
        }},
        "x-amazon-apigateway-request-validators":
            {"all": {"validateRequestBody": true, "validateRequestParameters": true}},
        "x-amazon-apigateway-request-validator": "all",
        "x-amazon-apigateway-api-key-source": "AUTHORIZER",
        "x-amazon-apigateway-minimum-compression-size": 100,
    })
}

#[tokio::test]
async fn what_chalice_writes_answers() {
    let rest = Rest::new();
    let input = rest!(ImportRestApiRequest {
        body: chalice().to_string(),
        parameters: texts(&[("mode", "import"), ("endpointConfigurationTypes", "REGIONAL")]),
    });
    let made = rest.call::<ops::ImportRestApi>(input).await.unwrap();
    assert_eq!((made.name.as_deref(), made.version.as_deref()), (Some("app"), Some("1.0")));
    assert_eq!(made.endpoint_configuration.unwrap().types, Some(vec!["REGIONAL".to_owned()]));
    assert_eq!((made.binary_media_types.unwrap().len(), made.warnings), (2, None));
    let api = made.id.unwrap();
    let methods = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        rest.paths(&api).await,
        [
            ("/".to_owned(), methods(&["GET"])),
            ("/users".to_owned(), vec![]),
            ("/users/{name}".to_owned(), methods(&["OPTIONS", "POST"]))
        ]
    );
    let models = rest.call::<ops::GetModels>(rest!(GetModelsRequest { rest_api_id: &*api })).await.unwrap();
    assert_eq!(models.items.unwrap().len(), 1, "those of the definition alone");
    rest.deploy(&api, "api").await;
    rest.world.function.does(Does::Answers(json!({"statusCode": 200, "body": "hello"})));
    assert_eq!(rest.visit(&api, "GET", "/api/").await.both(), (200, "hello"));
    let preflight = rest.visit(&api, "OPTIONS", "/api/users/ada").await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-methods")), (200, Some("POST,OPTIONS")));
    assert_eq!(rest.visit(&api, "POST", "/api/users/ada").await.status, 401);
    // A deployment that follows answers with what was put since.
    let mut changed = chalice();
    changed["paths"]["/new"] = changed["paths"]["/"].clone();
    changed["paths"].as_object_mut().unwrap().remove("/users/{name}");
    let root = rest.call::<ops::GetRestApi>(rest!(GetRestApiRequest { rest_api_id: &*api })).await.unwrap();
    let put = rest.put(&api, "overwrite", &changed).await.unwrap();
    assert_eq!((put.id.as_ref(), put.root_resource_id), (Some(&api), root.root_resource_id));
    assert_eq!(rest.visit(&api, "GET", "/api/new").await.status, 403, "not deployed yet");
    rest.deploy(&api, "api").await;
    let again = rest.restarted();
    again.world.function.does(Does::Answers(json!({"statusCode": 200, "body": "hello"})));
    assert_eq!(again.send(&request(&api, "GET", "/api/new", &[], "")).await.both(), (200, "hello"));
    assert_eq!(again.send(&request(&api, "OPTIONS", "/api/users/ada", &[], "")).await.status, 403);
}

#[tokio::test]
async fn what_sam_writes_answers() {
    let rest = Rest::new();
    let api = rest.import(&sam()).await.unwrap().id.unwrap();
    rest.deploy(&api, "Prod").await;
    rest.world.function.does(Does::Answers(json!({"statusCode": 201})));
    assert_eq!(rest.visit(&api, "GET", "/Prod/hello").await.status, 201);
    assert_eq!(rest.visit(&api, "OPTIONS", "/Prod/hello").await.both(), (200, "{}\n"));
    let denied = rest.visit(&api, "POST", "/Prod/a/b").await;
    assert_eq!((denied.status, denied.header("access-control-allow-origin")), (404, None));
    let mut signed = request(
        &api,
        "POST",
        "/Prod/a/b",
        &[("authorization", "AWS4-HMAC-SHA256 Credential=A/1/us-east-1/execute-api/aws4_request")],
        "",
    );
    signed.principal = root(Account::DEFAULT);
    assert_eq!(rest.send(&signed).await.status, 201);
}

#[tokio::test]
async fn what_was_exported_makes_the_same_api() {
    let rest = Rest::new();
    for (whole, kinds) in
        [(chalice(), vec!["swagger", "oas30"]), (sam(), vec!["swagger", "oas30"]), (checked(), vec!["oas30"])]
    {
        let api = rest.import(&whole).await.unwrap().id.unwrap();
        rest.deploy(&api, "dev").await;
        let before = rest.whole(&api).await;
        for kind in kinds {
            for accepts in ["application/json", "application/yaml"] {
                let export = rest.export(&api, kind, "apigateway", accepts).await;
                assert_eq!(export.content_type.as_deref(), Some("application/octet-stream"));
                let input = rest!(ImportRestApiRequest { body: export.body.unwrap() });
                let other = rest.call::<ops::ImportRestApi>(input).await.unwrap().id.unwrap();
                assert_eq!(rest.whole(&other).await, before, "{kind} {accepts}");
            }
        }
    }
}

#[tokio::test]
async fn an_export_has_awss_form() {
    let rest = Rest::new();
    let api = rest.import(&checked()).await.unwrap().id.unwrap();
    rest.deploy(&api, "dev").await;
    let read =
        |export: &aws::ExportResponse| -> Value { serde_json::from_slice(export.body.as_ref().unwrap()).unwrap() };
    let export = rest.export(&api, "swagger", "none", "application/json").await;
    assert_eq!(export.content_disposition.as_deref(), Some("attachment; filename=\"swagger_2.json\""));
    let swagger = read(&export);
    assert_eq!((&swagger["swagger"], &swagger["basePath"]), (&json!("2.0"), &json!("/dev")));
    assert!(swagger["host"].as_str().unwrap().starts_with(&format!("{api}.execute-api.us-east-1.")));
    let post = &swagger["paths"]["/pets"]["post"];
    assert_eq!(post["parameters"][1]["schema"]["$ref"], "#/definitions/Pet");
    assert_eq!((&post["operationId"], post.get("x-amazon-apigateway-integration")), (&json!("add"), None));
    assert_eq!(swagger["definitions"]["Pet"]["properties"]["kind"]["$ref"], "#/definitions/Kind");
    let open = read(&rest.export(&api, "oas30", "integrations", "application/json").await);
    assert_eq!(open["servers"][0]["variables"]["basePath"]["default"], "dev");
    let post = &open["paths"]["/pets"]["post"];
    assert_eq!(post["x-amazon-apigateway-request-validator"], "all");
    assert_eq!(post["x-amazon-apigateway-integration"]["type"], "aws_proxy");
    assert_eq!(post["responses"]["200"]["description"], "200 response");
    let yaml = rest.export(&api, "oas30", "authorizers", "application/yaml").await;
    assert_eq!(yaml.content_disposition.as_deref(), Some("attachment; filename=\"oas30_2.yaml\""));
    assert!(yaml.body.unwrap().starts_with(b"---\nopenapi: \"3.0.1\"\n"));
    let input = |api: &str, stage: &str, kind: &str, accepts: &str, (name, value): (&str, &str)| {
        rest!(GetExportRequest {
            rest_api_id: api,
            stage_name: stage,
            export_type: kind,
            accepts: accepts,
            parameters: texts(&[(name, value)]),
        })
    };
    let none = ("extensions", "none");
    for (input, code, message) in [
        (input("none", "dev", "swagger", "*/*", none), "NotFoundException", "Invalid API identifier"),
        (input(&api, "none", "swagger", "*/*", none), "NotFoundException", "Invalid stage identifier specified"),
        (input(&api, "dev", "raml", "*/*", none), "BadRequestException", "export type"),
        (input(&api, "dev", "swagger", "text/html", none), "BadRequestException", "Accept"),
        (input(&api, "dev", "swagger", "*/*", ("extensions", "postman")), "NotImplemented", "postman"),
        (input(&api, "dev", "swagger", "*/*", ("x", "y")), "NotImplemented", "parameters x"),
    ] {
        refused(rest.call::<ops::GetExport>(input).await, code, message);
    }
}

#[tokio::test]
async fn bodies_are_checked_as_a_definition_says() {
    let rest = Rest::new();
    let api = rest.import(&checked()).await.unwrap().id.unwrap();
    rest.deploy(&api, "dev").await;
    rest.world.function.does(Does::Answers(json!({"statusCode": 200})));
    let post = async |headers: &[(&str, &str)], body: &'static str| {
        rest.send(&request(&api, "POST", "/dev/pets", headers, body)).await.status
    };
    assert_eq!(post(&[("x-kind", "1")], r#"{"name": "a", "kind": "cat"}"#).await, 200);
    assert_eq!(post(&[("x-kind", "1")], r#"{"name": "a", "kind": "cow"}"#).await, 400);
    assert_eq!(post(&[], r#"{"name": "a"}"#).await, 400);
    assert_eq!(rest.world.function.called().name, FUNCTION);
}

#[tokio::test]
async fn a_definition_is_merged_with_what_is_there() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    let pets = rest.resource(&api, &root, "pets").await;
    rest.proxy(&api, &pets, "GET").await;
    rest.proxy(&api, &pets, "POST").await;
    let put = rest!(PutRestApiRequest { rest_api_id: &*api, body: checked().to_string() });
    let put = rest.call::<ops::PutRestApi>(put).await.unwrap();
    assert_eq!((put.name.as_deref(), put.description.as_deref()), (Some("pets"), Some("all of them")));
    let all = rest.paths(&api).await;
    assert_eq!(all[1], ("/pets".to_owned(), vec!["GET".to_owned(), "POST".to_owned()]));
    let get = rest!(GetMethodRequest { rest_api_id: &*api, resource_id: &*pets, http_method: "POST" });
    let method = rest.call::<ops::GetMethod>(get).await.unwrap();
    let integration = method.method_integration.unwrap();
    assert_eq!(integration.timeout_in_millis, Some(1000), "what the definition says goes before");
    assert_eq!(integration.cache_namespace, Some(pets));
    let models = rest.call::<ops::GetModels>(rest!(GetModelsRequest { rest_api_id: &*api })).await.unwrap();
    assert_eq!(models.items.unwrap().len(), 5);
    // Again, nothing comes twice.
    rest.put(&api, "merge", &checked()).await.unwrap();
    let validators = rest!(GetRequestValidatorsRequest { rest_api_id: &*api });
    assert_eq!(rest.call::<ops::GetRequestValidators>(validators).await.unwrap().items.unwrap().len(), 1);
    rest.put(&api, "overwrite", &sam()).await.unwrap();
    assert_eq!(rest.paths(&api).await.len(), 3);
    let validators = rest!(GetRequestValidatorsRequest { rest_api_id: &*api });
    assert!(rest.call::<ops::GetRequestValidators>(validators).await.unwrap().items.unwrap().is_empty());
}

#[tokio::test]
async fn base_paths_and_warnings() {
    let rest = Rest::new();
    let mut whole = sam();
    whole["basePath"] = json!("/a/b");
    whole["paths"]["/hello"]["trace"] = json!({});
    let import = async |basepath: &str, fail: bool| {
        let input = rest!(ImportRestApiRequest {
            body: whole.to_string(),
            parameters: texts(&[("basepath", basepath)]),
            fail_on_warnings: fail,
        });
        rest.call::<ops::ImportRestApi>(input).await
    };
    refused(import("ignore", true).await, "BadRequestException", "Warnings found during import:\n\tMethod TRACE");
    let made = import("prepend", false).await.unwrap();
    assert_eq!(made.warnings.unwrap().len(), 1);
    let paths = async |api: Option<String>| {
        rest.paths(&api.unwrap()).await.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(paths(made.id).await, ["/", "/a", "/a/b", "/a/b/hello", "/a/b/{proxy+}"]);
    assert_eq!(paths(import("split", false).await.unwrap().id).await, ["/", "/b", "/b/hello", "/b/{proxy+}"]);
    assert_eq!(paths(import("ignore", false).await.unwrap().id).await, ["/", "/hello", "/{proxy+}"]);
    refused(import("x", false).await, "BadRequestException", "basepath");
    let (api, _) = rest.api().await;
    let put = rest!(PutRestApiRequest {
        rest_api_id: &*api,
        body: whole.to_string(),
        parameters: texts(&[("basepath", "prepend")]),
        fail_on_warnings: true,
    });
    refused(rest.call::<ops::PutRestApi>(put.clone()).await, "BadRequestException", "Warnings found");
    rest.call::<ops::PutRestApi>(aws::PutRestApiRequest { fail_on_warnings: None, ..put }).await.unwrap();
    assert_eq!(rest.paths(&api).await.len(), 5);
}

#[tokio::test]
async fn what_cannot_be_imported_changes_nothing() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.proxy(&api, &root, "GET").await;
    let before = rest.whole(&api).await;
    let at = |pointer: &str, value: Value| {
        let mut whole = checked();
        *whole.pointer_mut(pointer).unwrap() = value;
        whole
    };
    let post = "/paths/~1pets/post";
    let integration = format!("{post}/x-amazon-apigateway-integration");
    for (whole, code, message) in [
        (at("/info", json!({})), "BadRequestException", "info.title"),
        (at("/openapi", json!("4")), "BadRequestException", "OpenAPI 3.0"),
        (
            at("/components/schemas/Kind", json!({"type": 1})),
            "BadRequestException",
            "Unable to create model for 'Kind'",
        ),
        (at("/components/schemas", json!({"a-b": {}})), "BadRequestException", "alphanumeric: a-b"),
        (at("/components/schemas", json!({})), "BadRequestException", "Invalid model identifier specified: Pet"),
        (at(&format!("{integration}/type"), json!("http")), "NotImplemented", "type HTTP"),
        (at(&format!("{integration}/uri"), json!("x")), "BadRequestException", "Unable to put integration on 'POST'"),
        (at("/x-amazon-apigateway-api-key-source", json!("x")), "BadRequestException", "ApiKeySource"),
        (at(post, json!({"security": [{"x": []}]})), "BadRequestException", "security scheme x is not defined"),
        (at("/x-amazon-apigateway-minimum-compression-size", json!(-1)), "BadRequestException", "compression size"),
        (at("/paths", json!({"/{a}/b": {}, "/{c}": {}})), "BadRequestException", "variable path part"),
    ] {
        for mode in ["merge", "overwrite"] {
            refused(rest.put(&api, mode, &whole).await, code, message);
        }
        refused(rest.import(&whole).await, code, message);
    }
    refused(rest.put("none", "merge", &sam()).await, "NotFoundException", "Invalid API identifier");
    refused(rest.put(&api, "replace", &sam()).await, "ValidationException", "mode");
    for (name, value, code) in [
        ("endpointConfigurationTypes", "PRIVATE", "NotImplemented"),
        ("endpointConfigurationTypes", "X", "BadRequestException"),
        ("vpcEndpointIds", "vpce-1", "NotImplemented"),
    ] {
        let parameters = texts(&[(name, value)]);
        let input = rest!(ImportRestApiRequest { body: sam().to_string(), parameters: parameters });
        refused(rest.call::<ops::ImportRestApi>(input).await, code, "");
    }
    assert_eq!(rest.whole(&api).await, before);
    let all = rest.call::<ops::GetRestApis>(rest!(GetRestApisRequest {})).await.unwrap();
    assert_eq!(all.items.unwrap().len(), 1);
}

#[tokio::test]
async fn a_large_definition_comes_to_an_end() {
    let rest = Rest::new();
    let mut whole = checked();
    let post = whole["paths"]["/pets"]["post"].clone();
    for at in 0..900 {
        whole["paths"][format!("/p{at}/{{id}}")] = json!({"post": post, "get": post});
    }
    for at in 0..200 {
        let others: Vec<Value> =
            (0..40).map(|other| json!({"$ref": format!("#/components/schemas/M{}", (at + other) % 200)})).collect();
        whole["components"]["schemas"][format!("M{at}")] = json!({"anyOf": others, "description": "x".repeat(2000)});
    }
    let api = rest.import(&whole).await.unwrap().id.unwrap();
    assert_eq!(rest.paths(&api).await.len(), 25);
    let many = json!({"swagger": "2.0", "info": {"title": "t"},
        "paths": (0..2001).map(|at| (format!("/p{at}"), json!({}))).collect::<serde_json::Map<_, _>>()});
    refused(rest.import(&many).await, "BadRequestException", "resources");
}

/// Every place of a value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(all) => all.iter().for_each(|(name, one)| places(one, &format!("{at}/{}", escaped(name)), found)),
        Value::Array(all) => all.iter().enumerate().for_each(|(name, one)| places(one, &format!("{at}/{name}"), found)),
        _ => {}
    }
}

#[tokio::test]
async fn nothing_in_a_definition_breaks_the_platform() {
    let rest = Rest::new();
    let (api, _) = rest.api().await;
    let odd =
        [json!(null), json!(true), json!(-1), json!("{x"), json!([1]), json!({"$ref": "#"}), json!({"a": {"b": []}})];
    for whole in [chalice(), sam(), checked()] {
        let mut all = Vec::new();
        places(&whole, "", &mut all);
        for place in all {
            for value in &odd {
                let mut changed = whole.clone();
                *changed.pointer_mut(&place).unwrap() = value.clone();
                if let Err(fault) = rest.put(&api, "overwrite", &changed).await {
                    assert!(matches!(fault.status, 400 | 404 | 409 | 501), "{place} {value}: {fault}");
                    continue;
                }
                // What is taken can be deployed or is refused, and is shown.
                let deploy = rest!(CreateDeploymentRequest { rest_api_id: &*api, stage_name: "dev" });
                match rest.call::<ops::CreateDeployment>(deploy).await {
                    Ok(deployed) => {
                        rest.export(&api, "oas30", "apigateway", "application/yaml").await;
                        rest.visit(&api, "POST", "/dev/pets").await;
                        // Only so many are kept.
                        let stage = rest!(DeleteStageRequest { rest_api_id: &*api, stage_name: "dev" });
                        rest.call::<ops::DeleteStage>(stage).await.unwrap();
                        let gone =
                            rest!(DeleteDeploymentRequest { rest_api_id: &*api, deployment_id: deployed.id.unwrap() });
                        rest.call::<ops::DeleteDeployment>(gone).await.unwrap();
                    }
                    Err(fault) => assert_eq!(fault.status, 400, "{place} {value}: {fault}"),
                }
            }
        }
    }
}
