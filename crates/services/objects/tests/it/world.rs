//! A room with its service running, and a caller.

use std::sync::{Arc, Mutex};

use base::{Account, BoxFuture, Fault, LocalBell, Principal, Region, RequestId, SystemRng, VirtualClocks};
use door::{Body, Call, Dispatch, Gate, Handle, Input, Origin, Reply, Router, RouterBuilder, Via};
use futures_util::StreamExt;
use model::s3::{self, ops};
use model::{lambda, sqs};
use objects::{Objects, Options};
use store::Kv;
use wire::Op;

pub(crate) struct World {
    pub(crate) objects: Arc<Objects>,
    /// The room behind a door that asks no policies.
    pub(crate) router: Arc<Router>,
    pub(crate) clocks: Arc<VirtualClocks>,
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) blobs: store::Blobs,
    folder: Arc<store::Folder>,
    /// What was sent to queues: their URLs and the messages.
    pub(crate) sent: Sent,
}

pub(crate) type Sent = Arc<Mutex<Vec<(String, String)>>>;

/// The bucket that [`World::new`] makes.
pub(crate) const BUCKET: &str = "bucket";
/// The only function there is; it lets every bucket of the account in.
pub(crate) const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:resize";

impl World {
    /// A room with a bucket. Must be called within a runtime: the service runs in it.
    pub(crate) async fn new() -> Self {
        Self::judged(Gate::off()).await
    }

    /// The same with policies.
    pub(crate) async fn judged(gate: Arc<Gate>) -> Self {
        let folder = Arc::new(store::Folder::ephemeral().unwrap());
        let world = Self::behind(gate, store::memory(), folder).await;
        let input = s3::CreateBucketRequest { bucket: Some(BUCKET.into()), ..Default::default() };
        world.call::<ops::CreateBucket>(input).await.unwrap();
        world
    }

    /// A room over rows and a folder that may have been used before.
    pub(crate) async fn over(kv: Arc<dyn Kv>, folder: Arc<store::Folder>) -> Self {
        Self::behind(Gate::off(), kv, folder).await
    }

    async fn behind(gate: Arc<Gate>, kv: Arc<dyn Kv>, folder: Arc<store::Folder>) -> Self {
        let clocks = Arc::new(VirtualClocks::default());
        clocks.pause();
        let sent = Sent::default();
        let blobs = store::Blobs::at(&folder);
        let options = Options {
            kv: Arc::clone(&kv),
            blobs: blobs.clone(),
            clocks: clocks.clone(),
            rng: Arc::new(SystemRng),
            bell: Arc::new(LocalBell::new()),
            dispatch: Arc::new(Elsewhere(Arc::clone(&sent))),
            gate: Arc::clone(&gate),
        };
        let (objects, service) = Objects::open(options).await.unwrap();
        tokio::spawn(service.run());
        let router = objects::register(RouterBuilder::default(), &objects).dropping(dropped()).build(gate);
        Self { objects, router, clocks, kv, blobs, folder, sent }
    }

    /// The same rows and folder under a room that has just started.
    pub(crate) async fn restarted(&self) -> Self {
        Self::over(Arc::clone(&self.kv), Arc::clone(&self.folder)).await
    }

    pub(crate) async fn call<O: Op>(&self, input: O::Input) -> Result<O::Output, Fault>
    where
        Objects: Handle<O>,
    {
        self.send::<O>(input, Body::Empty).await.map(|(output, _)| output)
    }

    /// A call with a body; the answer with its own.
    pub(crate) async fn send<O: Op>(&self, input: O::Input, body: Body) -> Result<(O::Output, Vec<u8>), Fault>
    where
        Objects: Handle<O>,
    {
        let Reply { output, body } = self.router.call(call::<O>(input, body)).await?;
        let reply = Reply { output, body: Body::Empty };
        let mut bytes = Vec::new();
        let mut pieces = body.into_stream();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece?);
        }
        Ok((reply.typed().unwrap(), bytes))
    }

    /// Puts an object into [`BUCKET`].
    pub(crate) async fn put(&self, key: &str, bytes: impl Into<bytes::Bytes>) -> s3::PutObjectOutput {
        let input = s3::PutObjectRequest { bucket: Some(BUCKET.into()), key: Some(key.into()), ..Default::default() };
        self.send::<ops::PutObject>(input, Body::Bytes(bytes.into())).await.unwrap().0
    }

    /// Waits until the sweep, which runs beside the calls, has removed every blob.
    pub(crate) async fn until_no_blobs(&self) {
        for _ in 0..1000 {
            if self.blobs.list().await.unwrap().is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        panic!("{} blobs stay", self.blobs.list().await.unwrap().len());
    }

    /// Reads an object of [`BUCKET`].
    pub(crate) async fn get(&self, key: &str) -> Result<Vec<u8>, Fault> {
        let input = s3::GetObjectRequest { bucket: Some(BUCKET.into()), key: Some(key.into()), ..Default::default() };
        self.send::<ops::GetObject>(input, Body::Empty).await.map(|(_, bytes)| bytes)
    }
}

pub(crate) fn call<O: Op>(input: O::Input, body: Body) -> Call {
    Call {
        principal: Principal::Root { account: Account::DEFAULT, verified: true },
        via: Via::Client { loopback: true },
        origin: Origin::default(),
        operation: O::ROW,
        input: Input::Typed(Box::new(input)),
        body,
        region: Region::default_region(),
        request_id: RequestId::new(&SystemRng),
        deadline: None,
        depth: 0,
        trace: None,
    }
}

/// What a run without some member was told to drop (`LAMBENT_DROP`).
fn dropped() -> Option<door::Dropped> {
    std::env::var("LAMBENT_DROP").ok().map(|member| member.parse().unwrap())
}

/// The other rooms: there is one function.
struct Elsewhere(Sent);

impl Dispatch for Elsewhere {
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(async move {
            let Input::Typed(input) = call.input else { return Err(Fault::internal("typed")) };
            let input: Box<dyn std::any::Any> = input;
            let Principal::Service { name: "s3.amazonaws.com", source_arn, source_account } = call.principal else {
                return Err(Fault::denied("not by a bucket"));
            };
            assert!(source_arn.starts_with("arn:aws:s3:::") && source_account == Account::DEFAULT);
            let input = match input.downcast::<sqs::SendMessageRequest>() {
                Ok(asked) => {
                    let url = asked.queue_url.unwrap();
                    match url.rsplit('/').next() {
                        Some("q") => {}
                        Some("closed") => return Err(Fault::new("AccessDeniedException", 400, "not this bucket")),
                        _ => return Err(sqs::queue_does_not_exist("The specified queue does not exist.")),
                    }
                    self.0.lock().unwrap().push((url, asked.message_body.unwrap()));
                    return Ok(Reply { output: Box::new(sqs::SendMessageResult::default()), body: Body::Empty });
                }
                Err(input) => input,
            };
            let Ok(asked) = input.downcast::<lambda::InvocationRequest>() else {
                return Err(Fault::internal("no other room is here"));
            };
            assert_eq!(asked.invocation_type.as_deref(), Some("DryRun"));
            if asked.function_name.as_deref() != Some(FUNCTION) {
                return Err(Fault::new("ResourceNotFoundException", 404, "no function"));
            }
            Ok(Reply { output: Box::new(lambda::InvocationResponse::default()), body: Body::Empty })
        })
    }
}
