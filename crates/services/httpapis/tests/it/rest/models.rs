//! What bodies look like, and who looks at them.

use model::apigateway::{self as aws, ops};
use serde_json::{Value, json};

use super::world::{Rest, patches, rest, texts};
use crate::world::{refused, request};

fn create(api: &str, name: &str, schema: &Value) -> aws::CreateModelRequest {
    rest!(CreateModelRequest {
        rest_api_id: api,
        name: name,
        description: "a pet",
        schema: schema.to_string(),
        content_type: "application/json",
    })
}

fn reference(api: &str, name: &str) -> Value {
    json!({"$ref": format!("https://apigateway.amazonaws.com/restapis/{api}/models/{name}")})
}

impl Rest {
    async fn model(&self, api: &str, name: &str, schema: &Value) -> aws::Model {
        self.call::<ops::CreateModel>(create(api, name, schema)).await.unwrap()
    }

    /// `POST /` with a model for JSON, checked; the validator's id.
    async fn checked(&self, api: &str, root: &str, models: &[(&str, &str)]) -> String {
        let input = rest!(CreateRequestValidatorRequest { rest_api_id: api, validate_request_body: true });
        let validator = self.call::<ops::CreateRequestValidator>(input).await.unwrap();
        assert_eq!((validator.validate_request_body, validator.validate_request_parameters), (Some(true), Some(false)));
        let validator = validator.id.unwrap();
        self.proxy(api, root, "POST").await;
        let mut changes = vec![("replace".to_owned(), "/requestValidatorId".to_owned(), validator.clone())];
        for (of, model) in models {
            changes.push(("add".into(), format!("/requestModels/{}", of.replace('/', "~1")), (*model).to_owned()));
        }
        let changes: Vec<_> = changes.iter().map(|(op, path, value)| (&**op, &**path, &**value)).collect();
        let input = rest!(UpdateMethodRequest {
            rest_api_id: api,
            resource_id: root,
            http_method: "POST",
            patch_operations: patches(&changes),
        });
        self.call::<ops::UpdateMethod>(input).await.unwrap();
        self.deploy(api, "dev").await;
        validator
    }
}

#[tokio::test]
async fn a_body_must_be_as_its_model_says() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.model(&api, "Kind", &json!({"type": "string", "enum": ["cat", "dog"]})).await;
    let pet = json!({
        "type": "object", "required": ["name"],
        "properties": {"name": {"type": "string"}, "kind": reference(&api, "Kind")},
    });
    rest.model(&api, "Pet", &pet).await;
    let validator = rest.checked(&api, &root, &[("application/json", "Pet")]).await;
    let post = async |headers: &[(&str, &str)], body: &'static str| {
        rest.send(&request(&api, "POST", "/dev/", headers, body)).await
    };
    let invalid = (400, r#"{"message":"Invalid request body"}"#);
    let json = [("content-type", "application/json; charset=utf-8")];
    for body in ["{}", r#"{"name": 1}"#, r#"{"name": "a", "kind": "cow"}"#, "[]", "{", ""] {
        let seen = post(&json, body).await;
        assert_eq!(seen.both(), invalid, "{body}");
        assert_eq!(seen.header("x-amzn-errortype"), Some("BadRequestException"));
    }
    assert_eq!(post(&[], "{}").await.both(), invalid, "no type is JSON");
    assert!(!rest.world.function.was_called());
    assert_eq!(post(&json, r#"{"name": "a", "kind": "cat"}"#).await.status, 502, "the function was called");
    assert!(rest.world.function.was_called());
    // What has no model is not looked at.
    post(&[("content-type", "text/plain")], "{}").await;
    assert!(rest.world.function.was_called());
    let input = rest!(PutGatewayResponseRequest {
        rest_api_id: &*api,
        response_type: "BAD_REQUEST_BODY",
        response_templates: texts(&[("application/json", r#"{"why": "$context.error.validationErrorString"}"#)]),
    });
    rest.call::<ops::PutGatewayResponse>(input).await.unwrap();
    // Models that change act with the next deployment, and restarts change nothing.
    let update = rest!(UpdateModelRequest {
        rest_api_id: &*api,
        model_name: "Pet",
        patch_operations: patches(&[("replace", "/schema", r#"{"required": ["b", "a"]}"#)]),
    });
    rest.call::<ops::UpdateModel>(update).await.unwrap();
    assert_eq!(post(&json, "{}").await.both(), invalid, "not deployed yet");
    rest.deploy(&api, "dev").await;
    let again = rest.restarted();
    let seen = again.send(&request(&api, "POST", "/dev/", &json, "{}")).await;
    let seen: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(seen["why"], r#"[object has missing required properties (["a","b"])]"#);
    let off = rest!(UpdateRequestValidatorRequest {
        rest_api_id: &*api,
        request_validator_id: validator,
        patch_operations: patches(&[("replace", "/validateRequestBody", "-")]),
    });
    let off = rest.call::<ops::UpdateRequestValidator>(off).await.unwrap();
    assert_eq!(off.validate_request_body, Some(false));
    rest.deploy(&api, "dev").await;
    post(&json, "{}").await;
    assert!(rest.world.function.was_called());
}

#[tokio::test]
async fn a_model_may_be_for_all_types() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.model(&api, "Number", &json!({"type": "number"})).await;
    rest.checked(&api, &root, &[("$default", "Number")]).await;
    let seen = rest.send(&request(&api, "POST", "/dev/", &[("content-type", "text/plain")], "\"a\"")).await;
    assert_eq!(seen.status, 400);
    rest.send(&request(&api, "POST", "/dev/", &[("content-type", "text/plain")], "1.5")).await;
    assert!(rest.world.function.was_called());
}

#[tokio::test]
async fn a_model_has_awss_form() {
    let rest = Rest::new();
    let (api, _) = rest.api().await;
    let made = rest.model(&api, "Pet", &json!({"type": "object", "properties": {"id": {"type": "integer"}}})).await;
    assert_eq!((made.name.as_deref(), made.description.as_deref()), (Some("Pet"), Some("a pet")));
    assert_eq!(made.content_type.as_deref(), Some("application/json"));
    let get = |input| rest.call::<ops::GetModel>(input);
    let read = get(rest!(GetModelRequest { rest_api_id: &*api, model_name: "Pet" })).await.unwrap();
    assert_eq!(read, made);
    let error = get(rest!(GetModelRequest { rest_api_id: &*api, model_name: "Error" })).await.unwrap();
    assert_eq!(error.description.as_deref(), Some("This is a default error schema model"));
    rest.model(&api, "Pets", &json!({"type": "array", "items": reference(&api, "Pet")})).await;
    let flat = rest!(GetModelRequest { rest_api_id: &*api, model_name: "Pets", flatten: true });
    let flat: Value = serde_json::from_str(&get(flat).await.unwrap().schema.unwrap()).unwrap();
    assert_eq!(flat["definitions"]["Pet"]["properties"]["id"]["type"], "integer");
    let template = rest!(GetModelTemplateRequest { rest_api_id: &*api, model_name: "Pet" });
    let template = rest.call::<ops::GetModelTemplate>(template).await.unwrap().value.unwrap();
    assert_eq!(template, "#set($inputRoot = $input.path('$'))\n{\n  \"id\" : 42\n}");
    let list = |input| rest.call::<ops::GetModels>(input);
    let first = list(rest!(GetModelsRequest { rest_api_id: &*api, limit: 3 })).await.unwrap();
    let names: Vec<_> = first.items.unwrap().into_iter().map(|one| one.name.unwrap()).collect();
    assert_eq!(names, ["Empty", "Error", "Pet"]);
    let next = rest!(GetModelsRequest { rest_api_id: &*api, limit: 3, position: first.position.unwrap() });
    let next = list(next).await.unwrap();
    assert!(next.items.unwrap()[0].name.as_deref() == Some("Pets") && next.position.is_none());
}

#[tokio::test]
async fn what_is_no_model_is_refused() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    let schema = json!({"type": "object"});
    rest.model(&api, "Pet", &schema).await;
    for (api, name, schema, code, message) in [
        ("none", "A", "{}", "NotFoundException", "Invalid API identifier specified 000000000000:none"),
        (&*api, "Pet", "{}", "ConflictException", "Model name already exists for this REST API"),
        (&*api, "", "{}", "BadRequestException", "Model name must be non-empty"),
        (&*api, "a-b", "{}", "BadRequestException", "Model name must be alphanumeric: a-b"),
        (&*api, "A", "", "BadRequestException", "Model schema must have at least 1 property or array items defined"),
        (&*api, "A", "{", "BadRequestException", "Invalid model schema specified"),
        (&*api, "A", r#"{"$ref": "http://127.0.0.1/x"}"#, "BadRequestException", "canonical form"),
    ] {
        let input = aws::CreateModelRequest { schema: Some(schema.into()), ..create(api, name, &json!({})) };
        refused(rest.call::<ops::CreateModel>(input).await, code, message);
    }
    let odd = aws::CreateModelRequest { content_type: Some("json".into()), ..create(&api, "A", &schema) };
    refused(rest.call::<ops::CreateModel>(odd).await, "BadRequestException", "Invalid content type");
    let update = async |model: &str, patch| {
        let input =
            rest!(UpdateModelRequest { rest_api_id: &*api, model_name: model, patch_operations: patches(&[patch]) });
        rest.call::<ops::UpdateModel>(input).await
    };
    let described = update("Pet", ("replace", "/description", "more")).await.unwrap();
    assert_eq!(described.description.as_deref(), Some("more"));
    for (model, patch, code, message) in [
        ("None", ("replace", "/schema", "{}"), "NotFoundException", "Invalid model name specified: None"),
        ("Pet", ("replace", "/schema", ""), "BadRequestException", "at least 1 property"),
        ("Pet", ("add", "/x", ""), "BadRequestException", "specified for op 'add'. Please choose supported operations"),
        ("Pet", ("replace", "/name", "a"), "BadRequestException", "Must be one of: [/description, /schema]"),
    ] {
        refused(update(model, patch).await, code, message);
    }
    let get = rest!(GetModelRequest { rest_api_id: "none", model_name: "Pet" });
    refused(rest.call::<ops::GetModel>(get).await, "NotFoundException", "Invalid model name specified: Pet");
    let get = rest!(GetModelTemplateRequest { rest_api_id: &*api, model_name: "None" });
    refused(rest.call::<ops::GetModelTemplate>(get).await, "NotFoundException", "Invalid model name specified: None");
    let list = rest.call::<ops::GetModels>(rest!(GetModelsRequest { rest_api_id: "none" })).await;
    refused(list, "NotFoundException", "Invalid API identifier specified");
    // What is used stays.
    let delete = async |model: &str| {
        rest.call::<ops::DeleteModel>(rest!(DeleteModelRequest { rest_api_id: &*api, model_name: model })).await
    };
    rest.model(&api, "Pets", &json!({"items": reference(&api, "Pet")})).await;
    refused(delete("Pet").await, "ConflictException", "is referenced in model: Pets");
    rest.checked(&api, &root, &[("application/json", "Pets")]).await;
    refused(delete("Pets").await, "ConflictException", "is referenced in method request: //POST");
    let response = rest!(PutMethodResponseRequest {
        rest_api_id: &*api,
        resource_id: &*root,
        http_method: "POST",
        status_code: "200",
        response_models: texts(&[("application/json", "Empty")]),
    });
    rest.call::<ops::PutMethodResponse>(response).await.unwrap();
    refused(delete("Empty").await, "ConflictException", "is referenced in method response: //POST/200");
    delete("Error").await.unwrap();
    refused(delete("Error").await, "NotFoundException", "Invalid model name specified: Error");
}
