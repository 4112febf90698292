//! The sockets of the front door: a client's bytes in, an answer's bytes out.
//!
//! What: reads a request within limits, finds out where it goes and who sends it, makes a [`Call`] of it and prints the
//! reply. Why: everything about HTTP, protocols and signatures ends here, so that no room behind knows of it.
//! Never: no service rule, no state, no decision about what a principal may do (the door's).
//!
//! The whole way of a request reads on one screen, in [`Gateway::answer`].

mod addressed;
mod arrival;
mod arriving;
mod authenticate;
mod body;
mod clock;
mod digest;
mod form;
mod framing;
mod head;
mod limits;
mod line;
mod origin;
mod packed;
mod platform;
mod respond;
mod sandbox;
mod server;
mod sharing;
mod sites;
mod streams;
mod takeover;
mod tls;
mod upload;
mod way;

use std::sync::Arc;

use base::{Clocks, Fault, RequestId, Rng, VirtualClocks};
use door::{Buckets, Call, Dispatch, Input, Keys, Reply, Site, Via};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use wire::route::Guess;

use addressed::Addressed;
use arrival::{Arrival, Connection};
use arriving::Arriving;
use respond::Response;
use upload::Upload;
use way::Way;

pub use limits::Limits;
pub use platform::Walls;
pub use sandbox::Inside;
pub use tls::{Authority, Error, Open, Pair, Tls};

/// What the gateway is made of.
pub struct Options {
    /// Who carries out calls.
    pub dispatch: Arc<dyn Dispatch>,
    /// The services whose requests are understood, for example `model::SERVICES`.
    pub services: &'static [&'static wire::Service],
    /// Who answers hosts and paths outside the AWS APIs; the first that claims a request answers it.
    pub sites: Vec<Arc<dyn Site>>,
    /// Who knows the store's buckets.
    pub buckets: Arc<dyn Buckets>,
    /// Who knows access keys.
    pub keys: Arc<dyn Keys>,
    /// Signatures are checked against the signing clock.
    pub clocks: Arc<dyn Clocks>,
    /// Request ids come from it.
    pub rng: Arc<dyn Rng>,
    /// Host names, besides those of loopback, at which pages and unproven callers are answered. Lower case, no port.
    pub hosts: Vec<String>,
    /// How the walls stand, for the health page.
    pub walls: Arc<dyn Fn() -> Walls + Send + Sync>,
    /// What every operation was asked and answered, in Prometheus's text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The clocks that test controls move; none unless the platform was started with them.
    pub test_controls: Option<Arc<VirtualClocks>>,
    /// Certificates. Without any, a client that begins a TLS handshake is refused.
    pub tls: Option<Arc<Tls>>,
    /// Whether plain HTTP is spoken where others than programs of this machine can listen in.
    pub insecure: bool,
    /// Sizes and times.
    pub limits: Limits,
    /// On which the listeners of sandboxes are served: they are handed over from threads outside any runtime.
    pub runtime: tokio::runtime::Handle,
}

/// The front door's sockets.
pub struct Gateway {
    options: Options,
    // Bodies above `limits::LARGE_BODY_BYTES` that are held in memory at once.
    large_bodies: Arc<Semaphore>,
    // The same for those that come from sandboxes.
    sandboxes_large_bodies: Arc<Semaphore>,
}

impl Gateway {
    /// A gateway that listens nowhere yet.
    pub fn new(options: Options) -> Arc<Self> {
        let large_bodies = Arc::new(Semaphore::new(options.limits.large_bodies));
        let sandboxes_large_bodies = Arc::new(Semaphore::new(limits::SANDBOXES_LARGE_BODIES));
        Arc::new(Self { options, large_bodies, sandboxes_large_bodies })
    }

    /// The whole way of a request: where to, within limits, who, what, the answer.
    async fn answer(&self, connection: &Connection, incoming: hyper::Request<Incoming>) -> Response {
        let id = RequestId::new(&*self.options.rng);
        let admitted = self.admit(connection, &incoming);
        let (arrival, body) = Arrival::split(connection, incoming, id, self.options.limits.linger);
        if let Err((status, why)) = admitted {
            return respond::last(respond::numbered(respond::plain(status, why), &id));
        }
        let unasked = body.is_unasked();
        let response = respond::numbered(self.respond(arrival, body).await, &id);
        if unasked { respond::last(response) } else { response }
    }

    /// Whether a request is looked at at all.
    fn admit(&self, connection: &Connection, incoming: &hyper::Request<Incoming>) -> Result<(), head::Refusal> {
        if !connection.is_secure() && !self.options.insecure {
            return Err((403, SECURE_ONLY));
        }
        head::check(incoming)
    }

    async fn respond(&self, mut arrival: Arrival<'_>, body: Arriving) -> Response {
        let way = Way::of(&arrival, &self.options);
        if matches!(way, Way::Api) && self.is_form(&arrival) {
            return self.form(arrival, body).await;
        }
        let body = match way {
            Way::Api => match self.uploaded(&mut arrival, body) {
                upload::Way::Streams(upload) => return self.api(arrival, *upload).await,
                upload::Way::Whole(body) => body,
            },
            _ => body,
        };
        let _room = match body::read(body, way.body_limit(), &self.options.limits, self.rooms(&arrival)).await {
            Ok((bytes, room)) => {
                arrival.request.body = bytes;
                room
            }
            Err(unread) => return self.unread(&unread, &way, &arrival),
        };
        match way {
            Way::Preflight => self.preflight(&arrival),
            Way::Platform(page) => self.platform(page, &arrival).await,
            Way::Public(site) => self.public(site, arrival).await,
            Way::Page(site) => self.page(site, arrival).await,
            Way::Nowhere(why) => respond::plain(404, why),
            Way::Api => self.api(arrival, Upload::Read).await,
        }
    }

    /// Where the body of this request finds room.
    fn rooms<'a>(&'a self, arrival: &Arrival<'a>) -> body::Rooms<'a> {
        let own = arrival.connection.entrance.bodies.as_ref();
        body::Rooms { own, large: if own.is_some() { &self.sandboxes_large_bodies } else { &self.large_bodies } }
    }

    /// A request to an AWS API.
    async fn api(&self, mut arrival: Arrival<'_>, upload: Upload) -> Response {
        let addressed = self.addressed(&arrival);
        let guess = addressed.detect(self.options.services, &arrival.request);
        let id = arrival.request_id;
        let page = self.page_of(&arrival, &addressed);
        arrival.stored = addressed.bucket().is_some();
        arrival.welcome = page.is_welcome();
        let printed = match self.call(&mut arrival, upload, addressed, &guess).await {
            Ok((operation, Reply { output, body })) => {
                respond::reply(wire::encode(guess.protocol, operation, &*output, id.as_str()), body)
            }
            Err(fault) => {
                tracing::debug!(request = %id, %fault, "refused");
                respond::printed(wire::encode_fault(guess.protocol, guess.service, &fault, id.as_str()))
            }
        };
        page.share(printed)
    }

    /// Where the request is addressed.
    fn addressed(&self, arrival: &Arrival<'_>) -> Addressed {
        Addressed::of(arrival, &self.options)
    }

    async fn call(
        &self,
        arrival: &mut Arrival<'_>,
        upload: Upload,
        addressed: Addressed,
        guess: &Guess,
    ) -> Result<(&'static wire::Operation, Reply), Fault> {
        let caller = self.authenticate(arrival)?;
        let body = match upload {
            Upload::Read => {
                self.unframe(arrival)?;
                None
            }
            Upload::Comes(incoming) => Some(self.stream(arrival, incoming)?),
        };
        let operation = guess.operation.clone()?;
        // Held until the answer: what is unpacked is as large in memory as if it had come so.
        let _room = packed::unpack(arrival, guess.protocol, self.rooms(arrival)).await?;
        addressed.settle(&mut arrival.request);
        addressed::name_the_queue(&mut arrival.request, guess.protocol, operation);
        // The checksum in the head of the last of an upload's requests is the object's.
        let of_object = operation.streams() || operation.name == "CompleteMultipartUpload";
        if body.is_none() && !of_object && operation.service.bare_errors {
            if operation.name == "DeleteObjects" {
                // A body that broke off would delete something else than was meant.
                digest::require(&arrival.request.headers)?;
            }
            digest::check(&arrival.request.headers, &arrival.request.body)?;
        }
        let body = match body {
            Some(body) => body,
            // What an operation reads as it comes is no part of its typed input, however it came.
            None if operation.streams() => door::Body::Bytes(std::mem::take(&mut arrival.request.body)),
            None => door::Body::Empty,
        };
        let call = Call {
            principal: caller.principal,
            origin: caller.origin,
            via: arrival.connection.entrance.via,
            operation,
            trace: arrival.header("x-amzn-trace-id").map(str::to_owned),
            input: Input::Encoded(guess.protocol, arrival.take_request()),
            body,
            region: caller.region,
            request_id: arrival.request_id,
            deadline: None,
            depth: 0,
        };
        let dispatch = Arc::clone(&self.options.dispatch);
        // A call that changes something is seen through, whether or not its caller waits: what follows a committed change (a
        // cache to forget, a line in the audit log) must not depend on a connection.
        let reply = if ends_with_its_caller(operation) {
            dispatch.call(call).await?
        } else {
            let done = tokio::spawn(async move { dispatch.call(call).await }).await;
            done.map_err(|broken| Fault::internal(format_args!("a call broke: {broken}")))??
        };
        Ok((operation, reply))
    }
}

/// Whether a call is given up when its caller leaves: an invocation ends, and who waits for messages must be handed none. Such
/// rooms see through by themselves what they have begun to change.
fn ends_with_its_caller(operation: &wire::Operation) -> bool {
    operation.name.starts_with("Invoke") || operation.name == "ReceiveMessage"
}

/// What whoever speaks plain HTTP hears where others can listen in.
const SECURE_ONLY: &str = "others can reach this address, so it speaks HTTPS only: use https:// with the certificate that `lambent ca` \
     names, or start the platform with --insecure";

/// Whether callers of this way may be taken at their word: they share the machine.
fn loopback(via: Via) -> bool {
    matches!(via, Via::Client { loopback: true })
}
