//! What a step of the reconciler looks at, and what it commits.

use std::sync::Arc;

use levada_peers::Lease;

use super::world::{BROKER, OTHER, World, held_by, led_by, registered, tp};

#[tokio::test]
async fn a_step_looks_at_what_has_changed_and_at_nothing_else() {
    let mut world = World::new();
    world.create("others", 20);
    let topic = world.create("orders", 50);
    assert_eq!(world.looked_at(), 50);
    world.assign(tp(topic, 7), led_by(Some(BROKER), 1, &[BROKER, OTHER]));
    assert_eq!(world.looked_at(), 1);
    let role = |partition| world.broker.partitions.get(&tp(topic, partition)).unwrap().role();
    assert_eq!((role(7).in_sync, role(8).in_sync), (2, 1));
    world.step(Vec::new());
    assert_eq!(world.looked_at(), 0);
    // What the leader may count on depends on who holds the other replicas.
    world.step(vec![registered(OTHER, 5)]);
    assert_eq!(world.looked_at(), 1);
    world.configure(topic, "min.insync.replicas", "2");
    assert_eq!(world.looked_at(), 50);
    let role = |partition| world.broker.partitions.get(&tp(topic, partition)).unwrap().role();
    assert_eq!((role(7).min_in_sync, role(8).min_in_sync), (2, 1));
    world.assign(tp(topic, 7), held_by(&[OTHER], Some(OTHER), 2, &[OTHER]));
    assert_eq!((world.looked_at(), world.broker.partitions.get(&tp(topic, 7)).is_none()), (1, true));
    world.delete(topic);
    assert_eq!(world.broker.partitions.all().len(), 20);
}

#[tokio::test]
async fn what_a_log_holds_is_not_committed_by_opening_it_without_a_lease() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["committed"]).await;
    world.assign(id, led_by(Some(BROKER), 1, &[BROKER, OTHER]));
    world.put(id, &["not committed"]).await;
    let mut world = world.restart_unaware();
    // Alone in sync by the last image; somebody else may lead by now.
    world.broker.mandate.hold(Arc::new(Lease::new()));
    world.assign(id, held_by(&[BROKER, OTHER], Some(BROKER), 2, &[BROKER]));
    world.broker.parts_taken().await;
    let partition = world.broker.partitions.get(&id).unwrap();
    assert_eq!((partition.high_watermark(), partition.reader().log_end_offset()), (1, 2));
}
