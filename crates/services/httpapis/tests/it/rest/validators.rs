//! What is looked at before a request goes on.

use model::apigateway::{self as aws, ops};

use super::world::{Rest, patches, rest, texts, truths};
use crate::world::{refused, request};

fn create(api: &str, parameters: bool) -> aws::CreateRequestValidatorRequest {
    rest!(CreateRequestValidatorRequest { rest_api_id: api, name: "params", validate_request_parameters: parameters })
}

#[tokio::test]
async fn a_request_without_what_must_be_sent_does_not_go_on() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    let validator = rest.call::<ops::CreateRequestValidator>(create(&api, true)).await.unwrap().id.unwrap();
    let one = rest.resource(&api, &root, "{id}").await;
    let put = rest!(PutMethodRequest {
        rest_api_id: &*api,
        resource_id: &*one,
        http_method: "GET",
        authorization_type: "NONE",
        request_validator_id: &*validator,
        request_parameters: truths(&[
            ("method.request.header.x-h", true),
            ("method.request.path.id", true),
            ("method.request.querystring.o", false),
            ("method.request.querystring.q", true),
        ]),
    });
    let made = rest.call::<ops::PutMethod>(put).await.unwrap();
    assert_eq!(made.request_validator_id.as_ref(), Some(&validator));
    let put = rest!(PutIntegrationRequest {
        rest_api_id: &*api,
        resource_id: &*one,
        http_method: "GET",
        type_: "MOCK",
        request_templates: texts(&[("application/json", "{\"statusCode\": 200}")]),
    });
    rest.call::<ops::PutIntegration>(put).await.unwrap();
    let put = rest!(PutIntegrationResponseRequest {
        rest_api_id: &*api,
        resource_id: &*one,
        http_method: "GET",
        status_code: "200",
    });
    rest.call::<ops::PutIntegrationResponse>(put).await.unwrap();
    rest.deploy(&api, "dev").await;
    let seen = rest.visit(&api, "GET", "/dev/1").await;
    assert_eq!(seen.both(), (400, r#"{"message":"Missing required request parameters: [x-h, q]"}"#));
    assert_eq!(seen.header("x-amzn-errortype"), Some("BadRequestException"));
    let with = |path: &str| request(&api, "GET", path, &[("x-h", "1")], "");
    let empty = rest.send(&with("/dev/1?q=")).await;
    assert_eq!(empty.both(), (400, r#"{"message":"Missing required request parameters: [q]"}"#));
    assert_eq!(rest.send(&with("/dev/1?q=1")).await.status, 200);
    let update = async |patch| {
        let input = rest!(UpdateRequestValidatorRequest {
            rest_api_id: &*api,
            request_validator_id: &*validator,
            patch_operations: patches(&[patch]),
        });
        rest.call::<ops::UpdateRequestValidator>(input).await
    };
    let off = update(("replace", "/validateRequestParameters", "false")).await.unwrap();
    assert_eq!(off.validate_request_parameters, Some(false));
    assert_eq!(rest.visit(&api, "GET", "/dev/1").await.status, 400, "not deployed yet");
    rest.deploy(&api, "dev").await;
    assert_eq!(rest.visit(&api, "GET", "/dev/1").await.status, 200);
    for (patch, code, message) in [
        (("replace", "/x", "true"), "BadRequestException", "Invalid patch path /x"),
        (("add", "/name", "n"), "BadRequestException", "Must be one of: [replace]"),
    ] {
        refused(update(patch).await, code, message);
    }
    let delete = || rest!(DeleteRequestValidatorRequest { rest_api_id: &*api, request_validator_id: &*validator });
    let used = rest.call::<ops::DeleteRequestValidator>(delete()).await;
    refused(used, "ConflictException", "is referenced in method: /{id}/GET");
    let unset = patches(&[("replace", "/requestValidatorId", "")]);
    let unset = rest!(UpdateMethodRequest {
        rest_api_id: &*api,
        resource_id: &*one,
        http_method: "GET",
        patch_operations: unset,
    });
    assert_eq!(rest.call::<ops::UpdateMethod>(unset).await.unwrap().request_validator_id, None);
    rest.call::<ops::DeleteRequestValidator>(delete()).await.unwrap();
    let gone = rest.call::<ops::DeleteRequestValidator>(delete()).await;
    refused(gone, "NotFoundException", "Invalid Request Validator identifier specified");
}

#[tokio::test]
async fn a_validator_has_awss_form() {
    let rest = Rest::new();
    let (api, _) = rest.api().await;
    let made = rest.call::<ops::CreateRequestValidator>(create(&api, false)).await.unwrap();
    assert_eq!((made.name.as_deref(), made.validate_request_body), (Some("params"), Some(false)));
    assert_eq!(made.validate_request_parameters, Some(false));
    let read = |api: &str, id: &str| rest!(GetRequestValidatorRequest { rest_api_id: api, request_validator_id: id });
    let get = |input| rest.call::<ops::GetRequestValidator>(input);
    let id = made.id.clone().unwrap();
    assert_eq!(get(read(&api, &id)).await.unwrap(), made);
    refused(get(read(&api, "none")).await, "NotFoundException", "Invalid Request Validator identifier specified");
    refused(get(read("none", &id)).await, "NotFoundException", "Invalid Request Validator identifier specified");
    let wrong = rest.call::<ops::CreateRequestValidator>(create("none", false)).await;
    refused(wrong, "BadRequestException", "Invalid REST API identifier specified");
    rest.call::<ops::CreateRequestValidator>(create(&api, true)).await.unwrap();
    let list = |input| rest.call::<ops::GetRequestValidators>(input);
    let first = list(rest!(GetRequestValidatorsRequest { rest_api_id: &*api, limit: 1 })).await.unwrap();
    let next = rest!(GetRequestValidatorsRequest { rest_api_id: &*api, limit: 1, position: first.position.unwrap() });
    let second = list(next).await.unwrap();
    assert!(first.items.as_ref().unwrap().len() == 1 && second.position.is_none() && second.items != first.items);
    let none = list(rest!(GetRequestValidatorsRequest { rest_api_id: "none" })).await;
    refused(none, "NotFoundException", "Invalid API identifier specified");
}
