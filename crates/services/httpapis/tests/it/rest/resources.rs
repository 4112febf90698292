//! The paths of an API.

use model::apigateway::{self as aws, ops};

use super::world::{Rest, patches, rest};
use crate::world::refused;

async fn create(rest: &Rest, api: &str, parent: &str, part: &str) -> Result<aws::Resource, base::Fault> {
    let input = rest!(CreateResourceRequest { rest_api_id: api, parent_id: parent, path_part: part });
    rest.call::<ops::CreateResource>(input).await
}

#[tokio::test]
async fn resources_have_paths() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    let pets = create(&rest, &api, &root, "pets").await.unwrap();
    assert_eq!((pets.path.as_deref(), pets.path_part.as_deref()), (Some("/pets"), Some("pets")));
    assert_eq!(pets.parent_id.as_deref(), Some(&*root));
    let pets = pets.id.unwrap();
    let one = create(&rest, &api, &pets, "{id}").await.unwrap();
    assert_eq!(one.path.as_deref(), Some("/pets/{id}"));
    let read = rest!(GetResourceRequest { rest_api_id: &*api, resource_id: one.id.clone().unwrap() });
    assert_eq!(rest.call::<ops::GetResource>(read).await.unwrap(), one);
    let all = rest.call::<ops::GetResources>(rest!(GetResourcesRequest { rest_api_id: &*api })).await.unwrap();
    let mut paths: Vec<_> = all.items.unwrap().into_iter().map(|one| one.path.unwrap()).collect();
    paths.sort();
    assert_eq!(paths, ["/", "/pets", "/pets/{id}"]);
    let read = rest!(GetResourceRequest { rest_api_id: &*api, resource_id: &*root });
    assert_eq!(rest.call::<ops::GetResource>(read).await.unwrap().path_part, None);
}

#[tokio::test]
async fn what_makes_no_path_is_refused() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    refused(create(&rest, "none", &root, "a").await, "NotFoundException", "Invalid API identifier");
    refused(create(&rest, &api, "none", "a").await, "NotFoundException", "Invalid Resource identifier specified");
    refused(create(&rest, &api, &root, "a b").await, "BadRequestException", "path part only allow");
    let all = rest.resource(&api, &root, "{proxy+}").await;
    let sibling = "A sibling ({proxy+}) of this resource already has a variable path part -- only one is allowed";
    refused(create(&rest, &api, &root, "{id}").await, "BadRequestException", sibling);
    let child = "Cannot create a child of a resource with a greedy path variable: {proxy+}";
    refused(create(&rest, &api, &all, "a").await, "BadRequestException", child);
    let a = rest.resource(&api, &root, "a").await;
    let twice = "Another resource with the same parent already has this name: a";
    refused(create(&rest, &api, &root, "a").await, "ConflictException", twice);
    let id = rest.resource(&api, &a, "{id}").await;
    refused(create(&rest, &api, &id, "{id}").await, "BadRequestException", "more than once");
}

#[tokio::test]
async fn resources_move_with_what_is_below_them() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    let pets = rest.resource(&api, &root, "pets").await;
    let sub = rest.resource(&api, &pets, "sub").await;
    let deep = rest.resource(&api, &sub, "pets").await;
    let update = async |id: &str, all: &[(&str, &str, &str)]| {
        let input =
            rest!(UpdateResourceRequest { rest_api_id: &*api, resource_id: id, patch_operations: patches(all) });
        rest.call::<ops::UpdateResource>(input).await
    };
    assert_eq!(update(&sub, &[("replace", "/parentId", &root)]).await.unwrap().path.as_deref(), Some("/sub"));
    let read = rest!(GetResourceRequest { rest_api_id: &*api, resource_id: &*deep });
    assert_eq!(rest.call::<ops::GetResource>(read).await.unwrap().path.as_deref(), Some("/sub/pets"));
    assert_eq!(update(&pets, &[("replace", "/pathPart", "dogs")]).await.unwrap().path.as_deref(), Some("/dogs"));
    for (id, patch, code, message) in [
        (&sub, ("replace", "/parentId", &*deep), "BadRequestException", "Resources cannot be cyclical."),
        (&sub, ("replace", "/parentId", "none"), "NotFoundException", "Invalid Resource identifier specified"),
        (&sub, ("replace", "/pathPart", "dogs"), "ConflictException", "already has this name: dogs"),
        (&sub, ("replace", "/pathPart", "{all+}"), "BadRequestException", "greedy path variable"),
        (&root, ("replace", "/pathPart", "x"), "BadRequestException", "Root resource cannot update its pathPart."),
        (
            &sub,
            ("replace", "/invalid", "x"),
            "BadRequestException",
            "Invalid patch path  '/invalid' specified for op 'replace'. Must be one of: [/parentId, /pathPart]",
        ),
        (
            &sub,
            ("remove", "/pathPart", "-"),
            "BadRequestException",
            "Invalid patch path  '/pathPart' specified for op 'remove'. Please choose supported operations",
        ),
    ] {
        refused(update(id, &[patch]).await, code, message);
    }
    refused(update("none", &[]).await, "NotFoundException", "Invalid Resource identifier specified");
}

#[tokio::test]
async fn a_resource_goes_with_what_is_below_it() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    let a = rest.resource(&api, &root, "a").await;
    let b = rest.resource(&api, &a, "b").await;
    let delete = async |id: &str| {
        rest.call::<ops::DeleteResource>(rest!(DeleteResourceRequest { rest_api_id: &*api, resource_id: id })).await
    };
    delete(&a).await.unwrap();
    refused(delete(&b).await, "NotFoundException", "Invalid Resource identifier specified");
    refused(delete(&root).await, "BadRequestException", "Root resource");
}

#[tokio::test]
async fn methods_are_embedded_where_that_is_asked_for() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.mock(&api, &root, "GET").await;
    let read = rest.call::<ops::GetResource>(rest!(GetResourceRequest { rest_api_id: &*api, resource_id: &*root }));
    let methods = read.await.unwrap().resource_methods.unwrap();
    assert_eq!(methods["GET"], aws::Method::default());
    let input = rest!(GetResourceRequest { rest_api_id: &*api, resource_id: &*root, embed: ["methods".to_owned()] });
    let methods = rest.call::<ops::GetResource>(input).await.unwrap().resource_methods.unwrap();
    assert_eq!(methods["GET"].method_integration.as_ref().unwrap().type_.as_deref(), Some("MOCK"));
    let input = rest!(GetResourcesRequest { rest_api_id: &*api, embed: ["methods".to_owned()] });
    let all = rest.call::<ops::GetResources>(input).await.unwrap().items.unwrap();
    assert_eq!(all[0].resource_methods.as_ref().unwrap()["GET"].authorization_type.as_deref(), Some("NONE"));
    let input = rest!(GetResourcesRequest { rest_api_id: &*api, embed: ["other".to_owned()] });
    refused(rest.call::<ops::GetResources>(input).await, "BadRequestException", "embed");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.resource(&api, &root, "a").await;
    let first =
        rest.call::<ops::GetResources>(rest!(GetResourcesRequest { rest_api_id: &*api, limit: 1 })).await.unwrap();
    let position = first.position.unwrap();
    assert_eq!(first.items.as_ref().unwrap().len(), 1);
    let input = rest!(GetResourcesRequest { rest_api_id: &*api, limit: 1, position: position });
    let second = rest.call::<ops::GetResources>(input).await.unwrap();
    assert!(second.position.is_none() && second.items != first.items);
}
