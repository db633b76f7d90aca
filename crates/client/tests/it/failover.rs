//! Leaders that move and brokers that go, under a client that produces and consumes.

use std::time::Duration;

use levada_client::{
    Client, ClientOptions, Consumer, Election, NewReassignment, NewTopic, Producer, ProducerRecord, StartAt,
};

use crate::world::{World, at, ids};

/// A pause that no test waits for: whoever pauses between attempts runs into the limit of the delivery.
const FOR_EVER: Duration = Duration::from_secs(3_600);

async fn produce(producer: &Producer, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let record = ProducerRecord::to("t").partition(0).value(number.to_string());
        producer.send(record).await.unwrap().await.unwrap();
    }
}

async fn consume(consumer: &mut Consumer, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let record = consumer.next().await.unwrap().unwrap();
        assert_eq!((record.offset, record.value.as_deref()), (i64::from(number), Some(number.to_string().as_bytes())));
    }
}

#[tokio::test]
async fn a_client_goes_on_when_the_only_broker_that_it_was_told_of_stops() {
    let mut world = World::start(3).await;
    // Broker 1 is the bootstrap server, and leads.
    let client = world.client();
    client.admin().create_topic(NewTopic::new("t").assign(&ids(&[1, 2, 3]))).await.unwrap();
    let producer = client.producer().build().await.unwrap();
    let mut consumer = client.consumer().topic("t", StartAt::Earliest).build().await.unwrap();
    produce(&producer, 0..10).await;
    consume(&mut consumer, 0..10).await;

    world.stop_broker(1).await;
    produce(&producer, 10..20).await;
    consume(&mut consumer, 10..20).await;
    let cluster = client.admin().describe_cluster().await.unwrap();
    assert_ne!(cluster.answered_by, ids(&[1])[0], "the others were learned from the one that is gone");

    // Back at another address, and leading again.
    world.start_broker(1).await;
    let partition = at("t", 0);
    world
        .until(async || {
            client.admin().elect_leaders(Election::Preferred, std::slice::from_ref(&partition)).await.unwrap()[0]
                .result
                .is_ok()
        })
        .await;
    produce(&producer, 20..30).await;
    consume(&mut consumer, 20..30).await;
    world.stop().await;
}

#[tokio::test]
async fn who_is_told_of_a_new_leader_turns_to_it_at_once() {
    let world = World::start(2).await;
    let options = ClientOptions { retry_backoff: FOR_EVER, retry_backoff_max: FOR_EVER, ..world.options() };
    let client = Client::new(options).unwrap();
    client.admin().create_topic(NewTopic::new("t").assign(&ids(&[1, 2]))).await.unwrap();
    let partition = at("t", 0);
    world.until_led_by(&partition, 1).await;
    let producer = client.producer().delivery_timeout(Duration::from_secs(30)).build().await.unwrap();
    let mut consumer = client.consumer().topic("t", StartAt::Earliest).build().await.unwrap();
    produce(&producer, 0..5).await;
    consume(&mut consumer, 0..5).await;

    // Another client moves the leadership: the first replica of the new order leads.
    let admin = world.client().admin();
    let swapped = NewReassignment { partition: partition.clone(), replicas: ids(&[2, 1]) };
    admin.alter_partition_reassignments(&[swapped], false).await.unwrap().remove(0).result.unwrap();
    admin.elect_leaders(Election::Preferred, std::slice::from_ref(&partition)).await.unwrap();
    world.until_led_by(&partition, 2).await;

    produce(&producer, 5..10).await;
    consume(&mut consumer, 5..10).await;
    world.stop().await;
}
