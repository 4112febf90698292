//! URLs behind REST APIs.

use model::apigateway::{self as aws, ops};

use super::world::{Rest, rest, texts, truths};
use crate::world::request;

/// An API whose `/x/{proxy+}` goes to this URL.
async fn to(rest: &Rest, method: &str, uri: &str, more: &[(&str, &str)]) -> String {
    let (api, root) = rest.api().await;
    let x = rest.resource(&api, &root, "x").await;
    let all = rest.resource(&api, &x, "{proxy+}").await;
    let input = rest!(PutMethodRequest {
        rest_api_id: &*api,
        resource_id: &*all,
        http_method: "ANY",
        authorization_type: "NONE",
        request_parameters: truths(&[("method.request.path.proxy", true)]),
    });
    rest.call::<ops::PutMethod>(input).await.unwrap();
    let mut parameters = texts(&[("integration.request.path.proxy", "method.request.path.proxy")]);
    parameters.extend(texts(more));
    let input = aws::PutIntegrationRequest {
        request_parameters: Some(parameters),
        ..rest!(PutIntegrationRequest {
            rest_api_id: &*api,
            resource_id: &*all,
            http_method: "ANY",
            type_: "HTTP_PROXY",
            integration_http_method: method,
            uri: uri,
        })
    };
    rest.call::<ops::PutIntegration>(input).await.unwrap();
    rest.deploy(&api, "dev").await;
    api
}

#[tokio::test]
async fn a_request_is_passed_on_and_its_answer_back() {
    let rest = Rest::new();
    let elsewhere = &rest.world.elsewhere;
    elsewhere.answers("http://h.example/base/a%20b/c?q=1", 404, "gone");
    let api = to(&rest, "ANY", "http://h.example/base/{proxy}", &[]).await;
    let headers = [("x-mine", "1"), ("connection", "close"), ("host", "h")];
    let seen = rest.send(&request(&api, "PUT", "/dev/x/a%20b/c?q=1", &headers, "body")).await;
    assert_eq!((seen.both(), seen.header("content-type")), ((404, "gone"), Some("text/html")));
    assert_eq!(seen.header("x-amzn-remapped-connection"), Some("close"));
    let asked = elsewhere.asked().remove(0);
    assert_eq!((asked.method.as_str(), &*asked.body), ("PUT", &b"body"[..]));
    let header = |name: &str| asked.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!((header("x-mine").as_deref(), header("host"), header("connection")), (Some("1"), None, None));
    assert_eq!(header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(header("x-amzn-apigateway-api-id"), Some(api));
}

#[tokio::test]
async fn parameters_and_the_method_are_the_integrations() {
    let rest = Rest::new();
    let elsewhere = &rest.world.elsewhere;
    elsewhere.answers("http://h.example/a?q=1&z=dev", 200, "");
    let more = [("integration.request.header.x-fixed", "'v'"), ("integration.request.querystring.z", "context.stage")];
    let api = to(&rest, "POST", "http://h.example/{proxy}", &more).await;
    assert_eq!(rest.visit(&api, "GET", "/dev/x/a?q=1").await.status, 200);
    let asked = elsewhere.asked().remove(0);
    assert_eq!((asked.method.as_str(), asked.headers["x-fixed"].to_str().unwrap()), ("POST", "v"));
}

#[tokio::test]
async fn who_does_not_answer_is_awss_error() {
    let rest = Rest::new();
    let api = to(&rest, "ANY", "http://nobody.example/{proxy}", &[]).await;
    let seen = rest.visit(&api, "GET", "/dev/x/a").await;
    assert_eq!(seen.both(), (504, r#"{"message": "Network error communicating with endpoint"}"#));
}
