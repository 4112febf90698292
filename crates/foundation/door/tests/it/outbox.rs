//! Outboxes: every row is heard of at least once, or parked where people see it; none holds up another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base::{
    Account, Bell, BoxFuture, Clocks, EventNews, Fault, Invoked, KeptReady, LocalBell, Meter, Principal, Receipt,
    RequestId, SystemRng, Timestamp, VirtualClocks,
};
use bytes::Bytes;
use door::outbox::{Delivery, Drain, Failing, OUTBOX_BELL, Outbox, Place, Sender, Settled, Stuck};
use door::{Answer, Body, Context, Gate, Handle, Origin, Router, RouterBuilder, Site, SiteRequest};
use model::lambda::{self, ops};
use proptest::prelude::*;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// Rows in memory.
#[derive(Default)]
struct Rows {
    due: Mutex<BTreeMap<Place, Bytes>>,
    parked: Mutex<BTreeMap<String, Bytes>>,
    settled: Notify,
}

impl Outbox for Rows {
    fn first(&self, from: Timestamp, limit: usize) -> Result<Vec<(Place, Bytes)>, Fault> {
        let due = self.due.lock().unwrap();
        Ok(due
            .range(Place { due: from, id: String::new() }..)
            .take(limit)
            .map(|(place, value)| (place.clone(), value.clone()))
            .collect())
    }
    fn settle(&self, place: Place, how: Settled) -> BoxFuture<'_, Result<(), Fault>> {
        let mut due = self.due.lock().unwrap();
        due.remove(&place);
        match how {
            Settled::Delivered => {}
            Settled::Again(at, value) => drop(due.insert(Place { due: at, id: place.id }, value)),
            Settled::Parked(value) => drop(self.parked.lock().unwrap().insert(place.id, value)),
        }
        self.settled.notify_one();
        Box::pin(async { Ok(()) })
    }
    fn parked(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, Bytes)>, Fault> {
        let parked = self.parked.lock().unwrap();
        let rest = parked.iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
        Ok(rest.take(limit).map(|(id, value)| (id.clone(), value.clone())).collect())
    }
    fn replay(&self, id: String, due: Timestamp, value: Bytes) -> BoxFuture<'_, Result<bool, Fault>> {
        let was = self.parked.lock().unwrap().remove(&id).is_some();
        if was {
            self.due.lock().unwrap().insert(Place { due, id }, value);
        }
        Box::pin(async move { Ok(was) })
    }
}

/// Tells of every call; fails as the function's name says; `hold` never answers.
struct Target(mpsc::UnboundedSender<(String, Principal, Bytes)>, Arc<Notify>);

impl Handle<ops::Invoke> for Target {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: lambda::InvocationRequest,
        _: Body,
    ) -> Result<Answer<lambda::InvocationResponse>, Fault> {
        let name = input.function_name.unwrap_or_default();
        let _ = self.0.send((name.clone(), context.principal, input.payload.unwrap_or_default()));
        match name.as_str() {
            "broken" => Err(Fault::internal("broken")),
            "missing" => Err(Fault::new("ResourceNotFoundException", 404, "there is none")),
            "hold" => {
                self.1.notified().await;
                Ok(lambda::InvocationResponse::default().into())
            }
            _ => Ok(lambda::InvocationResponse::default().into()),
        }
    }
}

struct World {
    rows: Arc<Rows>,
    clocks: Arc<VirtualClocks>,
    bell: Arc<LocalBell>,
    router: Arc<Router>,
    release: Arc<Notify>,
    heard: mpsc::UnboundedReceiver<(String, Principal, Bytes)>,
    /// What was given up, as the meter heard of it.
    given_up: GivenUp,
    running: JoinHandle<()>,
}

type GivenUp = Arc<Mutex<Vec<(Account, String, EventNews)>>>;

struct Ear(GivenUp);

impl Meter for Ear {
    fn invoked(&self, _: &Invoked) {}
    fn throttled(&self, _: Account, _: &str, _: &str) {}
    fn event(&self, account: Account, arn: &str, news: EventNews) {
        self.0.lock().unwrap().push((account, arn.to_owned(), news));
    }
    fn unsigned(&self, _: Account, _: &str) {}
    fn kept_ready(&self, _: Option<&str>, _: Vec<KeptReady>, _: Timestamp) {}
    fn receipt(&self, _: &Invoked) -> Option<Receipt> {
        None
    }
    fn receipted(&self) {}
}

impl World {
    fn new() -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        let release = Arc::new(Notify::new());
        let target = Arc::new(Target(tell, Arc::clone(&release)));
        let router = RouterBuilder::default().on::<ops::Invoke, _>(&target).build(Gate::off());
        let (rows, clocks) = (Arc::new(Rows::default()), Arc::new(VirtualClocks::default()));
        clocks.pause();
        let bell = Arc::new(LocalBell::over(clocks.clone()));
        let given_up = GivenUp::default();
        let running = drain(&rows, &clocks, &bell, &router, &given_up);
        Self { rows, clocks, bell, router, release, heard, given_up, running }
    }

    fn write(&self, id: &str, function: &str) {
        let place = Place { due: self.clocks.product(), id: id.into() };
        self.rows.due.lock().unwrap().insert(place, delivery(function).to_bytes());
        self.bell.ring(OUTBOX_BELL);
    }

    async fn hears(&mut self) -> String {
        self.heard.recv().await.unwrap().0
    }

    /// Waits until so many rows are due or waiting.
    async fn until(&self, due: usize) {
        while self.rows.due.lock().unwrap().len() != due {
            self.rows.settled.notified().await;
        }
    }

    fn parked(&self) -> Vec<(String, Delivery)> {
        let parked = self.rows.parked.lock().unwrap();
        parked.iter().filter_map(|(id, value)| Some((id.clone(), Delivery::read(value)?))).collect()
    }
}

fn drain(
    rows: &Arc<Rows>,
    clocks: &Arc<VirtualClocks>,
    bell: &Arc<LocalBell>,
    router: &Arc<Router>,
    news: &GivenUp,
) -> JoinHandle<()> {
    let drain = Drain {
        outbox: rows.clone(),
        dispatch: router.clone(),
        services: model::SERVICES,
        clocks: clocks.clone(),
        bell: bell.clone(),
        rng: Arc::new(SystemRng),
        meter: Arc::new(Ear(Arc::clone(news))),
    };
    tokio::spawn(drain.run())
}

fn delivery(function: &str) -> Delivery {
    Delivery {
        service: "lambda".into(),
        operation: "Invoke".into(),
        sender: Sender::Service {
            name: "s3.amazonaws.com".into(),
            source_arn: "arn:aws:s3:::bucket".into(),
            account: "000000000000".into(),
        },
        region: "us-east-1".into(),
        path: format!("/2015-03-31/functions/{function}/invocations"),
        query: String::new(),
        headers: vec![("x-amz-invocation-type".into(), "Event".into())],
        first_ms: 1,
        depth: 1,
        trace: None,
        attempts: 0,
        last_error: None,
        failing: None,
        body: Bytes::from_static(b"{\"an\":\n\"event\"}"),
    }
}

#[tokio::test]
async fn a_row_is_delivered_as_its_sender_and_goes() {
    let mut world = World::new();
    world.write("1", "hello");
    let (name, principal, body) = world.heard.recv().await.unwrap();
    assert_eq!((name.as_str(), &body[..]), ("hello", &b"{\"an\":\n\"event\"}"[..]));
    let Principal::Service { name, source_arn, source_account } = principal else { panic!("a service calls") };
    assert_eq!((name, source_arn.as_str()), ("s3.amazonaws.com", "arn:aws:s3:::bucket"));
    assert_eq!(source_account, Account::DEFAULT);
    world.until(0).await;
    assert!(world.parked().is_empty());
}

#[tokio::test]
async fn what_fails_is_tried_later_and_holds_up_nobody() {
    let mut world = World::new();
    world.write("1", "broken");
    world.write("2", "hold");
    world.write("3", "fine");
    let mut heard = [world.hears().await, world.hears().await, world.hears().await];
    heard.sort();
    assert_eq!(heard, ["broken", "fine", "hold"]);
    // The row under way, and the one that is due again in a second.
    world.until(2).await;
    // The clock does not move on while a delivery of this moment is under way.
    world.release.notify_one();
    world.until(1).await;
    for seconds in [1, 5, 30, 120, 600, 1_800, 3_600, 7_200] {
        assert!(world.heard.try_recv().is_err(), "not before its time");
        world.clocks.advance(seconds * 1_000).await.unwrap();
        assert_eq!(world.hears().await, "broken");
        world.rows.settled.notified().await;
    }
    let parked = world.parked();
    assert_eq!(parked.len(), 1);
    let (id, delivery) = &parked[0];
    assert_eq!((id.as_str(), delivery.attempts), ("1", 9));
    assert_eq!(delivery.last_error.as_deref(), Some("InternalFailure: broken"));
    assert_eq!(delivery.body, self::delivery("x").body, "it is kept whole");
}

#[tokio::test]
async fn what_no_later_try_mends_is_parked_soon() {
    let mut world = World::new();
    world.write("1", "missing");
    for seconds in [0, 1, 5] {
        world.clocks.advance(seconds * 1_000).await.unwrap();
        assert_eq!(world.hears().await, "missing");
        world.rows.settled.notified().await;
    }
    assert_eq!(world.parked()[0].1.attempts, 3);
    let place = Place { due: world.clocks.product(), id: "2".into() };
    world.rows.due.lock().unwrap().insert(place, Bytes::from_static(b"nonsense"));
    world.bell.ring(OUTBOX_BELL);
    world.until(0).await;
    assert_eq!(world.rows.parked.lock().unwrap().len(), 2, "what does not read is parked at once");
    assert!(world.given_up.lock().unwrap().is_empty(), "nobody wants to count these");
}

#[tokio::test]
async fn the_meter_hears_of_events_whose_end_nobody_will_hear_of() {
    let mut world = World::new();
    for (id, dead_letter) in [("1", true), ("2", false)] {
        let failing = Some(Failing { function_arn: format!("arn:{id}"), dead_letter });
        let place = Place { due: world.clocks.product(), id: id.into() };
        let value = Delivery { failing, ..delivery("missing") }.to_bytes();
        world.rows.due.lock().unwrap().insert(place, value);
    }
    world.bell.ring(OUTBOX_BELL);
    for seconds in [0, 1, 5] {
        world.clocks.advance(seconds * 1_000).await.unwrap();
        assert_eq!([world.hears().await, world.hears().await], ["missing", "missing"]);
        assert!(seconds == 5 || world.given_up.lock().unwrap().is_empty(), "only when it is given up");
    }
    world.until(0).await;
    let mut heard = world.given_up.lock().unwrap().clone();
    heard.sort_by(|one, other| one.1.cmp(&other.1));
    let news = |arn: &str, news| (Account::DEFAULT, arn.to_owned(), news);
    assert_eq!(heard, [news("arn:1", EventNews::DeadLetterFailed), news("arn:2", EventNews::DestinationFailed)]);
}

#[tokio::test]
async fn what_was_cut_off_is_delivered_again() {
    let mut world = World::new();
    world.write("1", "hold");
    assert_eq!(world.hears().await, "hold");
    world.running.abort();
    assert!((&mut world.running).await.unwrap_err().is_cancelled());
    world.running = drain(&world.rows, &world.clocks, &world.bell, &world.router, &world.given_up);
    assert_eq!(world.hears().await, "hold");
}

async fn ask(world: &World, who: Principal, method: http::Method, path: &str, body: &str) -> (u16, serde_json::Value) {
    let stuck = Stuck { outbox: world.rows.clone(), clocks: world.clocks.clone(), bell: world.bell.clone() };
    assert!(stuck.claims("localhost", path));
    let request = SiteRequest {
        method,
        path: path.into(),
        query: String::new(),
        host: "localhost".into(),
        authority: "localhost".into(),
        headers: http::HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        peer: [127, 0, 0, 1].into(),
        principal: who,
        origin: Origin::default(),
        request_id: RequestId::new(&SystemRng),
        takeover: None,
    };
    let response = stuck.serve(request).await;
    let Body::Bytes(bytes) = response.body else { panic!("the answer is bytes") };
    (response.status, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn people_see_what_is_parked_and_replay_it() {
    let mut world = World::new();
    for (id, function) in [("1", "fine"), ("2", "fine")] {
        let mut stuck = delivery(function);
        (stuck.attempts, stuck.last_error) = (9, Some("why".into()));
        world.rows.parked.lock().unwrap().insert(id.into(), stuck.to_bytes());
    }
    let (get, post) = (http::Method::GET, http::Method::POST);
    let root = |account: &str| Principal::Root { account: account.parse().unwrap(), verified: true };
    let ours = || root("000000000000");
    let (status, listed) = ask(&world, ours(), get.clone(), "/_lambent/events/stuck", "").await;
    let events = listed["events"].as_array().unwrap();
    assert_eq!((status, events.len()), (200, 2));
    assert_eq!((&events[0]["target"], &events[0]["lastError"]), (&"lambda:Invoke".into(), &"why".into()));
    assert!(!listed.to_string().contains("\\\"an\\\""), "nobody sees what it carries");
    let (_, none) = ask(&world, root("111122223333"), get.clone(), "/_lambent/events/stuck", "").await;
    assert_eq!(none["events"].as_array().unwrap().len(), 0, "another account sees nothing of it");
    let user = Principal::User { account: Account::DEFAULT, name: "ann".into() };
    assert_eq!(ask(&world, user, get, "/_lambent/events/stuck", "").await.0, 403);
    let (status, _) = ask(&world, ours(), post.clone(), "/_lambent/events/replay", r#"{"id":"3"}"#).await;
    assert_eq!(status, 404);
    let (_, one) = ask(&world, ours(), post.clone(), "/_lambent/events/replay", r#"{"id":"2"}"#).await;
    assert_eq!(one["replayed"], serde_json::json!(["2"]));
    assert_eq!(world.hears().await, "fine");
    ask(&world, ours(), post, "/_lambent/events/replay", r#"{"all":true}"#).await;
    assert_eq!(world.hears().await, "fine");
    world.until(0).await;
    assert!(world.parked().is_empty());
}

proptest! {
    #[test]
    fn a_delivery_reads_as_it_was_written(body: Vec<u8>, path in "\\PC{0,40}", error in "\\PC{0,40}", attempts: u32) {
        let written = Delivery { body: body.into(), path, last_error: Some(error), attempts, ..delivery("f") };
        prop_assert_eq!(Delivery::read(&written.to_bytes()), Some(written));
    }

    #[test]
    fn no_row_makes_reading_panic(row: Vec<u8>) {
        let _ = Delivery::read(&row.into());
    }
}
