//! APIs themselves.

use base::Account;
use model::apigateway::{self as aws, ops};

use super::world::{Rest, patches, rest};
use crate::world::{refused, root, words};

#[tokio::test]
async fn an_api_has_awss_form_and_defaults() {
    let rest = Rest::new();
    let input = rest!(CreateRestApiRequest { name: "shop", description: "d", version: "v1" });
    let made = rest.call::<ops::CreateRestApi>(input).await.unwrap();
    let id = made.id.clone().unwrap();
    assert_eq!((id.len(), made.root_resource_id.as_ref().unwrap().len()), (10, 10));
    let endpoint = made.endpoint_configuration.clone().unwrap();
    assert_eq!((endpoint.types.unwrap(), endpoint.ip_address_type.unwrap()), (vec!["EDGE".into()], "ipv4".into()));
    assert_eq!((made.api_key_source.as_deref(), made.disable_execute_api_endpoint), (Some("HEADER"), Some(false)));
    assert_eq!(
        (made.name.as_deref(), made.description.as_deref(), made.version.as_deref()),
        (Some("shop"), Some("d"), Some("v1"))
    );
    assert!(made.tags.is_none() && made.binary_media_types.is_none() && made.policy.is_none());
    assert_eq!(made.created_date.unwrap().0, rest.world.now().0 / 1000 * 1000);
    let read = rest.call::<ops::GetRestApi>(rest!(GetRestApiRequest { rest_api_id: &*id })).await.unwrap();
    assert_eq!(read, made);
}

#[tokio::test]
async fn what_makes_no_api_is_refused() {
    let rest = Rest::new();
    let create = |input| rest.call::<ops::CreateRestApi>(input);
    refused(create(rest!(CreateRestApiRequest { name: " " })).await, "BadRequestException", "Name cannot be empty");
    let input = rest!(CreateRestApiRequest { name: "a", description: "" });
    refused(create(input).await, "BadRequestException", "Description cannot be an empty string");
    let of = |types: &[&str]| {
        let types = Some(types.iter().map(|one| (*one).to_owned()).collect());
        rest!(CreateRestApiRequest {
            name: "a",
            endpoint_configuration: aws::EndpointConfiguration { types, ..Default::default() }
        })
    };
    refused(create(of(&[])).await, "BadRequestException", "cannot be both DISABLED");
    refused(create(of(&["EDGE", "REGIONAL"])).await, "BadRequestException", "multiple Endpoint Types");
    refused(create(of(&["PRIVATE"])).await, "NotImplemented", "endpointConfiguration.types PRIVATE");
    refused(create(of(&["wrong"])).await, "ValidationException", "wrong");
    create(of(&["REGIONAL"])).await.unwrap();
    for (input, named) in [
        (rest!(CreateRestApiRequest { name: "a", policy: "{}" }), "policy"),
        (rest!(CreateRestApiRequest { name: "a", clone_from: "x" }), "cloneFrom"),
    ] {
        refused(create(input).await, "NotImplemented", named);
    }
}

#[tokio::test]
async fn an_api_is_its_accounts_alone() {
    let rest = Rest::new();
    let (api, _) = rest.api().await;
    let other = root("111122223333".parse().unwrap());
    let read = rest.call_as::<ops::GetRestApi>(other, rest!(GetRestApiRequest { rest_api_id: &*api })).await;
    let (status, code, message) = words(read);
    assert_eq!((status, &*code), (404, "NotFoundException"));
    assert_eq!(message, format!("Invalid API identifier specified 111122223333:{api}"));
    let none = rest.call::<ops::GetRestApi>(rest!(GetRestApiRequest { rest_api_id: "none" })).await;
    refused(none, "NotFoundException", &format!("Invalid API identifier specified {}:none", Account::DEFAULT));
}

#[tokio::test]
async fn patches_change_what_they_name() {
    let rest = Rest::new();
    let (api, _) = rest.api().await;
    let update = async |all: &[(&str, &str, &str)]| {
        let input = rest!(UpdateRestApiRequest { rest_api_id: &*api, patch_operations: patches(all) });
        rest.call::<ops::UpdateRestApi>(input).await
    };
    let done = update(&[
        ("replace", "/name", "new"),
        ("replace", "/description", "text"),
        ("add", "/binaryMediaTypes/image~1png", "-"),
        ("add", "/binaryMediaTypes/image~1jpeg", "-"),
        ("replace", "/endpointConfiguration/types/EDGE", "REGIONAL"),
        ("replace", "/apiKeySource", "AUTHORIZER"),
    ]);
    let done = done.await.unwrap();
    assert_eq!((done.name.as_deref(), done.description.as_deref()), (Some("new"), Some("text")));
    assert_eq!(done.binary_media_types.unwrap(), ["image/png", "image/jpeg"]);
    assert_eq!(done.endpoint_configuration.unwrap().types.unwrap(), ["REGIONAL"]);
    assert_eq!(done.tags, Some(Default::default()));
    let done =
        update(&[("replace", "/binaryMediaTypes/image~1png", "image/gif"), ("remove", "/description", "-")]).await;
    let done = done.unwrap();
    assert_eq!(
        (done.binary_media_types.unwrap(), done.description),
        (vec!["image/jpeg".into(), "image/gif".into()], None)
    );
    let done = update(&[("remove", "/binaryMediaTypes/image~1gif", "-")]).await.unwrap();
    assert_eq!(done.binary_media_types.unwrap(), ["image/jpeg"]);
    for (patch, code, message) in [
        (("replace", "/binaryMediaTypes", "x"), "BadRequestException", "Invalid patch path /binaryMediaTypes"),
        (("add", "/name", "x"), "BadRequestException", "Invalid patch operation specified. Must be one of: [replace]"),
        (
            ("replace", "/endpointConfiguration/types/0", "wrong"),
            "BadRequestException",
            "Invalid EndpointTypes specified",
        ),
        (
            ("replace", "/endpointConfiguration/ipAddressType", "x"),
            "BadRequestException",
            "must be either ipv4 or dualstack",
        ),
        (("wrong", "/name", "x"), "ValidationException", "op"),
        (("replace", "/policy", "{}"), "NotImplemented", "patch path /policy"),
        (("replace", "/minimumCompressionSize", "-1"), "BadRequestException", "must be between 0 and 10485760"),
        (("replace", "/minimumCompressionSize", "x"), "BadRequestException", "must be between 0 and 10485760"),
        (("add", "/minimumCompressionSize", "1"), "BadRequestException", "Must be one of: [replace]"),
    ] {
        refused(update(&[patch]).await, code, message);
    }
    // What fails changes nothing of what stood before it.
    refused(update(&[("replace", "/name", "half"), ("replace", "/x", "y")]).await, "BadRequestException", "/x");
    let read = rest.call::<ops::GetRestApi>(rest!(GetRestApiRequest { rest_api_id: &*api })).await.unwrap();
    assert_eq!(read.name.as_deref(), Some("new"));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let rest = Rest::new();
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(rest.api().await.0);
    }
    made.sort();
    let first = rest.call::<ops::GetRestApis>(rest!(GetRestApisRequest { limit: 2 })).await.unwrap();
    let ids = |page: &aws::RestApis| page.items.iter().flatten().map(|one| one.id.clone().unwrap()).collect::<Vec<_>>();
    assert_eq!(ids(&first), made[..2]);
    let position = first.position.unwrap();
    let second =
        rest.call::<ops::GetRestApis>(rest!(GetRestApisRequest { limit: 2, position: position })).await.unwrap();
    assert_eq!((ids(&second), second.position), (made[2..].to_vec(), None));
    let wrong = rest.call::<ops::GetRestApis>(rest!(GetRestApisRequest { position: "%" })).await;
    refused(wrong, "BadRequestException", "Invalid position parameter specified");
    let wrong = rest.call::<ops::GetRestApis>(rest!(GetRestApisRequest { limit: 501 })).await;
    refused(wrong, "BadRequestException", "limit");
}

#[tokio::test]
async fn an_api_outlives_a_restart_and_a_deleted_one_answers_no_more() {
    let rest = Rest::new();
    let api = rest.serving(&["/a"]).await;
    let again = rest.restarted();
    again.world.function.does(crate::world::Does::Answers(serde_json::json!({"body": "hi"})));
    assert_eq!(again.visit(&api, "GET", "/dev/a").await.both(), (200, "hi"));
    again.call::<ops::DeleteRestApi>(rest!(DeleteRestApiRequest { rest_api_id: &*api })).await.unwrap();
    assert_eq!(again.visit(&api, "GET", "/dev/a").await.status, 404, "as of a host that nobody has");
    let gone = again.call::<ops::DeleteRestApi>(rest!(DeleteRestApiRequest { rest_api_id: &*api })).await;
    refused(gone, "NotFoundException", "Invalid API identifier");
    assert_eq!(again.call::<ops::GetRestApis>(Default::default()).await.unwrap().items.unwrap(), []);
}
