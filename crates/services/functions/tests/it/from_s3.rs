//! Code that lies in a bucket: read as the caller, kept piece by piece, refused in AWS's words.

use base::{BoxFuture, Fault, Principal};
use bytes::Bytes;
use door::{Body, Call, Dispatch, Input, Reply};
use futures_util::stream;
use model::lambda::{self as aws, ops};
use model::s3;
use store::Blobs;

use crate::layers::publish;
use crate::versions::told;
use crate::world::{World, create, package};

/// A room of objects: `code.zip` in two versions, and much that is wrong.
pub(crate) struct Objects;

fn pieces(bytes: &Bytes) -> Vec<Result<Bytes, Fault>> {
    bytes.chunks(7).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect()
}

impl Dispatch for Objects {
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(async move {
            let Input::Typed(input) = call.input else { return Err(Fault::internal("typed")) };
            let input: Box<dyn std::any::Any> = input;
            let asked =
                input.downcast::<s3::GetObjectRequest>().map_err(|_| Fault::not_implemented("another operation"))?;
            assert!(matches!(call.principal, Principal::Root { .. }), "asked as the caller");
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let version = asked.version_id.as_deref();
            let mut broken = pieces(&package("whole"));
            broken.push(Err(Fault::internal("the disk is gone")));
            let pieces = match (text(&asked.bucket).as_str(), text(&asked.key).as_str()) {
                ("denied", _) => return Err(Fault::new("AccessDenied", 403, "Access Denied")),
                ("far", _) => {
                    let words = "The bucket is in this region: eu-west-1. Please use this region to retry the request";
                    return Err(Fault::new("PermanentRedirect", 301, words));
                }
                ("code", "code.zip") => pieces(&package(version.unwrap_or("newest"))),
                ("code", "none.zip") => Vec::new(),
                ("code", "text.zip") => pieces(&Bytes::from_static(b"no zip at all")),
                ("code", "broken.zip") => broken,
                ("code", "large.zip") => {
                    let megabyte = Bytes::from(vec![0; 1 << 20]);
                    (0..251).map(|_| Ok(megabyte.clone())).collect()
                }
                _ => return Err(s3::no_such_key("The specified key does not exist.")),
            };
            Ok(Reply {
                output: Box::new(s3::GetObjectOutput::default()),
                body: Body::Stream(Box::pin(stream::iter(pieces))),
            })
        })
    }
}

fn lies(bucket: &str, key: &str, version: Option<&str>) -> aws::CreateFunctionRequest {
    let code = aws::FunctionCode {
        s3_bucket: Some(bucket.into()),
        s3_key: Some(key.into()),
        s3_object_version: version.map(str::to_owned),
        ..aws::FunctionCode::default()
    };
    aws::CreateFunctionRequest { code: Some(code), ..create("hello") }
}

async fn kept(world: &World) -> Vec<Bytes> {
    let blobs = Blobs::at(&world.disk.folder);
    let mut out = Vec::new();
    for (digest, _) in blobs.list().await.unwrap() {
        out.push(blobs.read(&digest).await.unwrap().unwrap());
    }
    out
}

#[tokio::test]
async fn the_object_in_the_version_that_is_named_becomes_the_code() {
    let world = World::new();
    let made = world.call::<ops::CreateFunction>(lies("code", "code.zip", Some("v1"))).await.unwrap();
    assert_eq!(made.code_size, Some(package("v1").len() as i64));
    assert_eq!(kept(&world).await, [package("v1")]);
    world.invoke("hello", "1").await.unwrap();
    let update = |version: Option<&str>| aws::UpdateFunctionCodeRequest {
        function_name: Some("hello".into()),
        s3_bucket: Some("code".into()),
        s3_key: Some("code.zip".into()),
        s3_object_version: version.map(str::to_owned),
        ..Default::default()
    };
    world.call::<ops::UpdateFunctionCode>(update(None)).await.unwrap();
    world.call::<ops::UpdateFunctionCode>(update(Some("v2"))).await.unwrap();
    let content = aws::LayerVersionContentInput {
        s3_bucket: Some("code".into()),
        s3_key: Some("code.zip".into()),
        s3_object_version: Some("v3".into()),
        ..aws::LayerVersionContentInput::default()
    };
    let layer = aws::PublishLayerVersionRequest { content: Some(content), ..publish("libs", "") };
    world.call::<ops::PublishLayerVersion>(layer).await.unwrap();
    let kept = kept(&world).await;
    for version in ["newest", "v2", "v3"] {
        assert!(kept.contains(&package(version)), "{version}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_told_in_lambdas_words() {
    let world = World::new();
    let invalid = |words: &str| ("InvalidParameterValueException".to_owned(), 400, words.to_owned());
    let get = |words: &str| invalid(&format!("Error occurred while GetObject. {words}"));
    let cases = [
        (lies("code", "nowhere.zip", None), get("S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.")),
        (
            lies("far", "k", None),
            get("S3 Error Code: PermanentRedirect. S3 Error Message: The bucket is in this region: eu-west-1. Please use this region to retry the request"),
        ),
        (
            lies("denied", "k.zip", None),
            (
                "AccessDeniedException".to_owned(),
                403,
                "Your access has been denied by S3, please make sure your request credentials have permission to GetObject for denied/k.zip. S3 Error Code: AccessDenied. S3 Error Message: Access Denied".to_owned(),
            ),
        ),
        (lies("code", "none.zip", None), invalid("Uploaded file must be a non-empty zip")),
        (
            lies("code", "text.zip", None),
            invalid("Could not unzip uploaded file. Please check your file, then try to upload again."),
        ),
        (lies("code", "large.zip", None), invalid("Unzipped size must be smaller than 262144000 bytes")),
    ];
    for (input, expected) in cases {
        let fault = world.call::<ops::CreateFunction>(input).await.unwrap_err();
        let (code, status, message) = told(&fault);
        assert_eq!((code.to_owned(), status, message.to_owned()), expected);
    }
    let broken = world.call::<ops::CreateFunction>(lies("code", "broken.zip", None)).await.unwrap_err();
    assert_eq!(broken.status, 500);
    let mut half = lies("code", "code.zip", None);
    half.code.as_mut().unwrap().s3_key = None;
    let half = world.call::<ops::CreateFunction>(half).await.unwrap_err();
    assert_eq!(half.message, "Please provide both S3Bucket and S3Key.");
    let mut both = lies("code", "code.zip", None);
    both.code.as_mut().unwrap().zip_file = Some(package("inline"));
    let both = world.call::<ops::CreateFunction>(both).await.unwrap_err();
    assert_eq!(both.code, "InvalidParameterValueException");
    assert!(kept(&world).await.is_empty(), "nothing stays behind");
}
