//! Functions that are container images: kept and shown as on AWS, and honest about not running yet.

use model::lambda::{self as aws, ops};

use crate::versions::{get, publish, told};
use crate::world::{World, create};

pub(crate) const URI: &str = "000000000000.dkr.ecr.us-east-1.amazonaws.com/app:v1";

pub(crate) fn image(uri: Option<&str>) -> aws::CreateFunctionRequest {
    aws::CreateFunctionRequest {
        runtime: None,
        handler: None,
        package_type: Some("Image".into()),
        code: Some(aws::FunctionCode { image_uri: uri.map(str::to_owned), ..Default::default() }),
        image_config: Some(aws::ImageConfig {
            command: Some(vec!["app.handler".into()]),
            working_directory: Some("/srv".into()),
            ..Default::default()
        }),
        ..create("hello")
    }
}

fn code(uri: Option<&str>) -> aws::UpdateFunctionCodeRequest {
    aws::UpdateFunctionCodeRequest {
        function_name: Some("hello".into()),
        image_uri: uri.map(str::to_owned),
        zip_file: if uri.is_none() { Some(crate::world::package("x")) } else { None },
        ..Default::default()
    }
}

#[tokio::test]
async fn an_image_is_kept_and_shown_and_does_not_run() {
    let world = World::new().serve();
    let made = world.call::<ops::CreateFunction>(image(Some(URI))).await.unwrap();
    assert_eq!((made.package_type.as_deref(), &made.runtime, &made.handler), (Some("Image"), &None, &None));
    assert_eq!((made.code_size, &made.runtime_version_config), (Some(0), &None));
    let config = made.image_config_response.clone().unwrap().image_config.unwrap();
    assert_eq!((config.command, config.entry_point), (Some(vec!["app.handler".to_owned()]), None));
    assert_eq!(config.working_directory.as_deref(), Some("/srv"));
    let refused = world.invoke("hello", "{}").await.unwrap_err();
    assert_eq!(refused.code, "InvalidRuntimeException");
    assert!(refused.message.contains(URI) && refused.message.contains("do not run here yet"), "{}", refused.message);
    publish(&world).await;
    let digest = "a".repeat(64);
    let pinned = format!("000000000000.dkr.ecr.us-east-1.amazonaws.com/app@sha256:{digest}");
    world.call::<ops::UpdateFunctionCode>(code(Some(&pinned))).await.unwrap();

    let world = World::on(world.die().await);
    assert_eq!(get(&world, Some("1")).await.unwrap().image_config_response, made.image_config_response);
    let input = aws::GetFunctionRequest { function_name: Some("hello".into()), qualifier: None };
    let shown = world.call::<ops::GetFunction>(input).await.unwrap().code.unwrap();
    assert_eq!((shown.repository_type.as_deref(), shown.location), (Some("ECR"), None));
    assert_eq!((shown.image_uri, shown.resolved_image_uri), (Some(pinned.clone()), Some(pinned)));
    let input = aws::UpdateFunctionConfigurationRequest {
        function_name: Some("hello".into()),
        image_config: Some(aws::ImageConfig::default()),
        memory_size: Some(256),
        ..Default::default()
    };
    let changed = world.call::<ops::UpdateFunctionConfiguration>(input).await.unwrap();
    assert_eq!((changed.image_config_response, changed.memory_size), (None, Some(256)));
}

#[tokio::test]
async fn an_image_is_no_archive() {
    let world = World::new();
    let refused = async |input| world.call::<ops::CreateFunction>(input).await.unwrap_err();
    let both = aws::CreateFunctionRequest { runtime: Some("python3.12".into()), ..image(Some(URI)) };
    let zip = aws::CreateFunctionRequest { package_type: None, image_config: None, ..image(Some(URI)) };
    let config = aws::CreateFunctionRequest { image_config: Some(aws::ImageConfig::default()), ..create("hello") };
    for (input, words) in [
        (image(None), "Please provide ImageUri when creating a function with packageType Image."),
        (both, "Please don't provide handler or runtime or layer when the intended function PackageType is Image."),
        (zip, "Please do not provide ImageUri when creating a function with packageType Zip."),
        (config, "Please don't provide ImageConfig when the intended function PackageType is Zip."),
    ] {
        assert_eq!(told(&refused(input).await), ("InvalidParameterValueException", 400, words));
    }
    world.create("hello").await;
    let other = world.call::<ops::UpdateFunctionCode>(code(Some(URI))).await.unwrap_err();
    assert_eq!(other.message, "Please don't provide ImageUri when updating a function with packageType Zip.");
    crate::versions::delete(&world, None).await.unwrap();
    world.call::<ops::CreateFunction>(image(Some(URI))).await.unwrap();
    let other = world.call::<ops::UpdateFunctionCode>(code(None)).await.unwrap_err();
    assert_eq!(other.message, "Please provide ImageUri when updating a function with packageType Image.");
}
