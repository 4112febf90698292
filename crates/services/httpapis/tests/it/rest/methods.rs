//! Methods and what they may answer.

use model::apigateway::{self as aws, ops};

use super::world::{Rest, patches, rest, texts, truths};
use crate::world::refused;

fn put(api: &str, resource: &str, method: &str, kind: &str) -> aws::PutMethodRequest {
    rest!(PutMethodRequest { rest_api_id: api, resource_id: resource, http_method: method, authorization_type: kind })
}

#[tokio::test]
async fn a_method_has_awss_form() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    let made = rest.call::<ops::PutMethod>(put(&api, &root, "ANY", "NONE")).await.unwrap();
    let shown = rest!(Method { http_method: "ANY", authorization_type: "NONE", api_key_required: false });
    assert_eq!(made, shown);
    let read = || rest!(GetMethodRequest { rest_api_id: &*api, resource_id: &*root, http_method: "ANY" });
    assert_eq!(rest.call::<ops::GetMethod>(read()).await.unwrap(), shown);
    let again = rest.call::<ops::PutMethod>(put(&api, &root, "ANY", "NONE")).await;
    refused(again, "ConflictException", "Method already exists for this resource");
    let delete = || rest!(DeleteMethodRequest { rest_api_id: &*api, resource_id: &*root, http_method: "ANY" });
    rest.call::<ops::DeleteMethod>(delete()).await.unwrap();
    refused(rest.call::<ops::GetMethod>(read()).await, "NotFoundException", "Invalid Method identifier specified");
    refused(rest.call::<ops::DeleteMethod>(delete()).await, "NotFoundException", "Invalid Method identifier specified");
}

#[tokio::test]
async fn what_makes_no_method_is_refused() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    let of = |input| rest.call::<ops::PutMethod>(input);
    refused(of(put("none", &root, "GET", "NONE")).await, "NotFoundException", "Invalid Resource identifier specified");
    refused(of(put(&api, "none", "GET", "NONE")).await, "NotFoundException", "Invalid Resource identifier specified");
    refused(
        of(put(&api, &root, "TEST", "NONE")).await,
        "BadRequestException",
        "Invalid HttpMethod specified. Valid options",
    );
    refused(of(put(&api, &root, "GET", "CUSTOM")).await, "BadRequestException", "Invalid authorizer ID specified.");
    refused(of(put(&api, &root, "GET", "X")).await, "BadRequestException", "Invalid AuthorizationType specified");
    let plain = || put(&api, &root, "GET", "NONE");
    let keyed = aws::PutMethodRequest { api_key_required: Some(true), ..plain() };
    refused(of(keyed).await, "NotImplemented", "apiKeyRequired");
    let checked = aws::PutMethodRequest { request_validator_id: Some("x".into()), ..plain() };
    refused(of(checked).await, "BadRequestException", "Invalid Request Validator identifier specified");
    let models = Some(texts(&[("application/json", "pet")]));
    let modelled = aws::PutMethodRequest { request_models: models, ..plain() };
    refused(of(modelled).await, "BadRequestException", "Invalid model identifier specified: pet");
    let twice = truths(&[("method.request.header.a", true), ("method.request.querystring.a", true)]);
    let twice = aws::PutMethodRequest { request_parameters: Some(twice), ..plain() };
    refused(
        of(twice).await,
        "BadRequestException",
        "Parameter names must be unique across querystring, header and path",
    );
    let scoped = aws::PutMethodRequest { authorization_scopes: Some(vec!["a".into()]), ..plain() };
    refused(of(scoped).await, "NotImplemented", "authorizationScopes");
}

#[tokio::test]
async fn patches_change_what_they_name() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.method(&api, &root, "GET").await;
    let update = async |all: &[(&str, &str, &str)]| {
        let patch_operations = patches(all);
        let input = rest!(UpdateMethodRequest {
            rest_api_id: &*api,
            resource_id: &*root,
            http_method: "GET",
            patch_operations: patch_operations,
        });
        rest.call::<ops::UpdateMethod>(input).await
    };
    let done = update(&[
        ("add", "/requestParameters/method.request.querystring.q", "true"),
        ("add", "/requestModels/application~1json", "Empty"),
        ("replace", "/authorizationType", "AWS_IAM"),
        ("replace", "/operationName", "listAll"),
        ("replace", "/apiKeyRequired", "false"),
    ]);
    let done = done.await.unwrap();
    assert_eq!(done.request_parameters.unwrap(), truths(&[("method.request.querystring.q", true)]));
    assert_eq!(done.request_models.unwrap(), texts(&[("application/json", "Empty")]));
    assert_eq!(
        (done.authorization_type.as_deref(), done.operation_name.as_deref()),
        (Some("AWS_IAM"), Some("listAll"))
    );
    let done = update(&[("remove", "/requestParameters/method.request.querystring.q", "-")]).await.unwrap();
    assert_eq!(done.request_parameters, None);
    for (patch, code, message) in [
        (("add", "/authorizationType", "NONE"), "BadRequestException", "Must be one of: [replace]"),
        (("replace", "/httpMethod", "PUT"), "BadRequestException", "Invalid patch path /httpMethod"),
        (("replace", "/requestParameters", "x"), "BadRequestException", "Invalid patch path /requestParameters"),
        (("replace", "/requestModels/application/json", "x"), "BadRequestException", "/requestModels/application/json"),
        (("replace", "/authorizationType", "CUSTOM"), "BadRequestException", "Invalid authorizer ID specified"),
        (("replace", "/requestValidatorId", "x"), "BadRequestException", "Invalid Request Validator identifier"),
        (("replace", "/apiKeyRequired", "true"), "NotImplemented", "apiKeyRequired"),
    ] {
        refused(update(&[patch]).await, code, message);
    }
}

#[tokio::test]
async fn a_method_says_what_it_may_answer() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.method(&api, &root, "GET").await;
    let input = |status: &str| {
        rest!(PutMethodResponseRequest {
            rest_api_id: &*api,
            resource_id: &*root,
            http_method: "GET",
            status_code: status,
            response_parameters: truths(&[("method.response.header.x", true)]),
        })
    };
    let made = rest.call::<ops::PutMethodResponse>(input("200")).await.unwrap();
    assert_eq!((made.status_code.as_deref(), made.response_models), (Some("200"), None));
    assert_eq!(made.response_parameters.unwrap(), truths(&[("method.response.header.x", true)]));
    let again = rest.call::<ops::PutMethodResponse>(input("200")).await;
    refused(again, "ConflictException", "Response already exists for this resource");
    refused(rest.call::<ops::PutMethodResponse>(input("wrong")).await, "ValidationException", "wrong");
    let update = async |all: &[(&str, &str, &str)]| {
        let input = rest!(UpdateMethodResponseRequest {
            rest_api_id: &*api,
            resource_id: &*root,
            http_method: "GET",
            status_code: "200",
            patch_operations: patches(all),
        });
        rest.call::<ops::UpdateMethodResponse>(input).await
    };
    let done = update(&[
        ("add", "/responseParameters/method.response.header.y", "true"),
        ("add", "/responseModels/application~1json", "Error"),
        ("remove", "/responseParameters/method.response.header.x", "-"),
    ]);
    let done = done.await.unwrap();
    assert_eq!(done.response_parameters.unwrap(), truths(&[("method.response.header.y", true)]));
    assert_eq!(done.response_models.unwrap(), texts(&[("application/json", "Error")]));
    for (patch, code, message) in [
        (("remove", "/responseParameters/none", "-"), "NotFoundException", "Invalid parameter name specified"),
        (("replace", "/responseModels/a~1b", "Empty"), "NotFoundException", "Content-Type specified was not found"),
        (("add", "/responseModels/a~1b", "none"), "BadRequestException", "Invalid model identifier specified: none"),
        (("add", "/wrong/x", "true"), "BadRequestException", "Invalid patch path /wrong/x"),
    ] {
        refused(update(&[patch]).await, code, message);
    }
    let read = || {
        rest!(GetMethodResponseRequest {
            rest_api_id: &*api,
            resource_id: &*root,
            http_method: "GET",
            status_code: "200"
        })
    };
    assert!(rest.call::<ops::GetMethodResponse>(read()).await.unwrap().response_models.is_some());
    let delete = rest!(DeleteMethodResponseRequest {
        rest_api_id: &*api,
        resource_id: &*root,
        http_method: "GET",
        status_code: "200",
    });
    rest.call::<ops::DeleteMethodResponse>(delete).await.unwrap();
    refused(
        rest.call::<ops::GetMethodResponse>(read()).await,
        "NotFoundException",
        "Invalid Response status code specified",
    );
}
