//! OpenID Connect providers.

use model::iam::{self, ops};

use crate::world::{World, assert_fault};

const URL: &str = "https://token.example.com/pool";
const ARN: &str = "arn:aws:iam::000000000000:oidc-provider/token.example.com/pool";

fn create(url: &str) -> iam::CreateOpenIDConnectProviderRequest {
    iam::CreateOpenIDConnectProviderRequest {
        url: Some(url.into()),
        client_id_list: Some(vec!["one".into(), "one".into()]),
        thumbprint_list: Some(vec!["a".repeat(40)]),
        ..Default::default()
    }
}

async fn get(world: &World) -> iam::GetOpenIDConnectProviderResponse {
    let input = iam::GetOpenIDConnectProviderRequest { open_id_connect_provider_arn: Some(ARN.into()) };
    world.call::<ops::GetOpenIDConnectProvider>(input).await.unwrap()
}

#[tokio::test]
async fn a_provider_is_kept_and_changed() {
    let world = World::new().await;
    let made = world.call::<ops::CreateOpenIDConnectProvider>(create(URL)).await.unwrap();
    assert_eq!(made.open_id_connect_provider_arn.as_deref(), Some(ARN));
    let taken = world.call::<ops::CreateOpenIDConnectProvider>(create(URL)).await;
    assert_fault(taken, "EntityAlreadyExists", 409, &format!("Provider with url {URL} already exists."));
    for bad in ["http://token.example.com", "https://", "https://token.example.com?a=b"] {
        let result = world.call::<ops::CreateOpenIDConnectProvider>(create(bad)).await;
        assert_fault(result, "ValidationError", 400, "Invalid Open ID Connect Provider URL");
    }
    let arn = || Some(ARN.to_owned());
    for client in ["two", "two"] {
        let add = iam::AddClientIDToOpenIDConnectProviderRequest {
            open_id_connect_provider_arn: arn(),
            client_id: Some(client.into()),
        };
        world.call::<ops::AddClientIDToOpenIDConnectProvider>(add).await.unwrap();
    }
    let remove = iam::RemoveClientIDFromOpenIDConnectProviderRequest {
        open_id_connect_provider_arn: arn(),
        client_id: Some("one".into()),
    };
    world.call::<ops::RemoveClientIDFromOpenIDConnectProvider>(remove).await.unwrap();
    let prints = |count: usize| iam::UpdateOpenIDConnectProviderThumbprintRequest {
        open_id_connect_provider_arn: arn(),
        thumbprint_list: Some(vec!["b".repeat(40); count]),
    };
    world.call::<ops::UpdateOpenIDConnectProviderThumbprint>(prints(1)).await.unwrap();
    let many = world.call::<ops::UpdateOpenIDConnectProviderThumbprint>(prints(6)).await;
    assert_fault(many, "InvalidInput", 400, "Thumbprint list must contain fewer than 5 entries.");
    let shown = get(&World::over(world.kv.clone()).await).await;
    assert_eq!(shown.url.as_deref(), Some("token.example.com/pool"));
    assert_eq!((shown.client_id_list, shown.thumbprint_list), (Some(vec!["two".into()]), Some(vec!["b".repeat(40)])));
    let listed = world.call::<ops::ListOpenIDConnectProviders>(Default::default()).await.unwrap();
    assert_eq!(listed.open_id_connect_provider_list.unwrap()[0].arn.as_deref(), Some(ARN));
    // Another spelling is what policies were asked about, and is another one.
    let other = Some(ARN.replace("token.example", "TOKEN.example"));
    let miss = iam::DeleteOpenIDConnectProviderRequest { open_id_connect_provider_arn: other };
    world.call::<ops::DeleteOpenIDConnectProvider>(miss).await.unwrap();
    get(&world).await;
    let delete = || iam::DeleteOpenIDConnectProviderRequest { open_id_connect_provider_arn: arn() };
    for _ in 0..2 {
        // As on AWS it is no error when it is not there.
        world.call::<ops::DeleteOpenIDConnectProvider>(delete()).await.unwrap();
    }
    let input = iam::GetOpenIDConnectProviderRequest { open_id_connect_provider_arn: arn() };
    let gone = world.call::<ops::GetOpenIDConnectProvider>(input).await;
    assert_fault(gone, "NoSuchEntity", 404, &format!("OpenIDConnect Provider not found for arn {ARN}"));
}

#[tokio::test]
async fn nobody_is_let_in_by_a_token_that_nothing_here_can_verify() {
    let names: Vec<&str> = World::new().await.router.registered().iter().map(|operation| operation.name).collect();
    assert!(!names.contains(&"AssumeRoleWithWebIdentity"), "it is NotImplemented until keys can be had");
}
