//! Lists of queues.

use model::sqs::{self as aws, ops};

use crate::world::{World, redrive, url};

async fn list(world: &World, input: aws::ListQueuesRequest) -> (Vec<String>, Option<String>) {
    let found = world.call::<ops::ListQueues>(input).await.unwrap();
    let names =
        found.queue_urls.unwrap_or_default().iter().map(|url| url.rsplit('/').next().unwrap().to_owned()).collect();
    (names, found.next_token)
}

#[tokio::test]
async fn queues_are_listed_by_prefix_and_in_pages() {
    let world = World::new();
    assert_eq!(world.call::<ops::ListQueues>(Default::default()).await.unwrap().queue_urls, None);
    for name in ["b1", "a2", "a1", "a3"] {
        world.create(name, &[]).await;
    }
    let found = world.call::<ops::ListQueues>(Default::default()).await.unwrap();
    assert_eq!(found.queue_urls.unwrap()[0], url("a1").unwrap());
    let prefix = Some("a".to_owned());
    let ask = aws::ListQueuesRequest { queue_name_prefix: prefix.clone(), ..Default::default() };
    assert_eq!(list(&world, ask).await, (vec!["a1".into(), "a2".into(), "a3".into()], None));
    let page = aws::ListQueuesRequest { queue_name_prefix: prefix, max_results: Some(2), ..Default::default() };
    let (names, token) = list(&world, page.clone()).await;
    assert_eq!(names, ["a1", "a2"]);
    let (names, end) = list(&world, aws::ListQueuesRequest { next_token: token.clone(), ..page.clone() }).await;
    assert_eq!((names, end), (vec!["a3".to_owned()], None));
    for wrong in [
        aws::ListQueuesRequest { max_results: Some(1001), ..Default::default() },
        aws::ListQueuesRequest { max_results: Some(0), ..Default::default() },
        aws::ListQueuesRequest { next_token: token, ..Default::default() },
        aws::ListQueuesRequest { next_token: Some("!".into()), ..page },
    ] {
        assert_eq!(world.call::<ops::ListQueues>(wrong).await.unwrap_err().code, "InvalidParameterValue");
    }
}

#[tokio::test]
async fn a_dead_letter_queue_knows_its_sources() {
    let world = World::new();
    world.create("dead", &[]).await;
    for name in ["c", "a", "b"] {
        world.create(name, &[("RedrivePolicy", &redrive("dead", 2))]).await;
    }
    world.create("other", &[]).await;
    let ask = aws::ListDeadLetterSourceQueuesRequest { queue_url: url("dead"), ..Default::default() };
    let all = world.call::<ops::ListDeadLetterSourceQueues>(ask.clone()).await.unwrap();
    assert_eq!(all.queue_urls.unwrap(), ["a", "b", "c"].map(|name| url(name).unwrap()));
    let page = aws::ListDeadLetterSourceQueuesRequest { max_results: Some(2), ..ask };
    let first = world.call::<ops::ListDeadLetterSourceQueues>(page.clone()).await.unwrap();
    assert_eq!(first.queue_urls.unwrap().len(), 2);
    let rest = aws::ListDeadLetterSourceQueuesRequest { next_token: first.next_token, ..page };
    let rest = world.call::<ops::ListDeadLetterSourceQueues>(rest).await.unwrap();
    assert_eq!((rest.queue_urls.unwrap(), rest.next_token), (vec![url("c").unwrap()], None));
}
