//! What is put into an outbox comes out of an inbox.

use bytes::Bytes;
use levada_proto::internal::GroupParcel;
use prost::Message;

use super::*;

const ALL: fn(&char) -> bool = |_| true;

fn bytes(len: usize, fill: u8) -> Bytes {
    Bytes::from(vec![fill; len])
}

/// The numbers of the parcels of a load, and whether each continues.
fn numbers(load: &Load<char>) -> Vec<(u64, bool)> {
    load.parcels.iter().map(|parcel| (parcel.number, parcel.continues)).collect()
}

#[test]
fn what_waits_leaves_together_up_to_a_pack() {
    let mut outbox = Outbox::default();
    (0..3).for_each(|number| outbox.push(number, bytes(10, 1), 'm'));
    let load = outbox.load(ALL);
    assert_eq!(numbers(&load), [(0, false), (1, false), (2, false)]);
    assert_eq!(load.sent, [(0, 'm'), (1, 'm'), (2, 'm')]);
    assert!(outbox.load(ALL).parcels.is_empty());

    (0..5).for_each(|number| outbox.push(number, bytes(PACK_BYTES / 2, 1), 'm'));
    assert!(outbox.is_full());
    let packs: Vec<usize> = (0..4).map(|_| outbox.load(ALL).parcels.len()).collect();
    assert_eq!(packs, [2, 2, 1, 0]);
    assert!(!outbox.is_full());
}

#[test]
fn what_is_large_leaves_in_parts_beside_what_is_small_and_comes_out_whole() {
    let (large, other) = (bytes(3 * PACK_BYTES - 1, 7), bytes(PACK_BYTES + 1, 8));
    let mut outbox = Outbox::default();
    outbox.push(1, large.clone(), 'l');
    outbox.push(2, other.clone(), 'o');
    let (mut inbox, mut arrived, mut sent) = (Inbox::default(), Vec::new(), Vec::new());
    for number in 10..16 {
        outbox.push(number, bytes(1, 0), 's');
        let load = outbox.load(ALL);
        assert_eq!(numbers(&load).first(), Some(&(number, false)), "nothing small waits");
        assert!(load.parcels.iter().map(Message::encoded_len).sum::<usize>() < MAX_STREAM_MESSAGE_BYTES);
        sent.extend(load.sent.into_iter().filter(|(_, mark)| *mark != 's'));
        for parcel in load.parcels {
            arrived.extend(inbox.take(parcel).unwrap().filter(|(_, message)| message.len() > 1));
        }
    }
    assert_eq!(arrived, [(1, large), (2, other)]);
    assert_eq!(sent, [(1, 'l'), (2, 'o')]);
}

#[test]
fn what_nobody_wants_does_not_leave_and_what_has_begun_is_cut_short() {
    let mut outbox = Outbox::default();
    for (number, len, mark) in [(1, 10, 'x'), (2, 10, 'm'), (3, PACK_BYTES + 1, 'l'), (4, PACK_BYTES + 1, 'm')] {
        outbox.push(number, bytes(len, 1), mark);
    }
    let load = outbox.load(|mark| *mark != 'x');
    assert_eq!(numbers(&load), [(2, false), (3, true)]);
    let mut inbox = Inbox::default();
    for parcel in load.parcels {
        inbox.take(parcel).unwrap();
    }
    let load = outbox.load(|mark| *mark != 'l');
    assert_eq!((numbers(&load), load.cut_short), (vec![(4, true)], Some(3)));
    inbox.abandon(3);
    assert_eq!(load.parcels.into_iter().try_for_each(|parcel| inbox.take(parcel).map(drop)), Ok(()));
    assert_eq!(outbox.load(ALL).sent, [(4, 'm')]);

    outbox.push(5, bytes(2 * PACK_BYTES, 1), 'x');
    assert!(outbox.is_full());
    assert!(outbox.load(|mark| *mark != 'x').parcels.is_empty());
    assert!(outbox.is_empty() && !outbox.is_full());
}

#[test]
fn an_inbox_takes_one_message_in_parts_at_a_time_and_none_over_the_limit() {
    let parcel = |number, len, continues| GroupParcel { number, bytes: bytes(len, 1), continues };
    let mut inbox = Inbox::default();
    assert_eq!(inbox.take(parcel(1, 5, true)), Ok(None));
    inbox.abandon(2);
    assert_eq!(inbox.take(parcel(3, 5, false)), Ok(Some((3, bytes(5, 1)))));
    assert_eq!(inbox.take(parcel(2, 5, true)), Err(ParcelError::Within { begins: 2, within: 1 }));
    assert_eq!(inbox.take(parcel(1, MAX_GROUP_MESSAGE_BYTES - 5, true)), Ok(None));
    assert_eq!(inbox.take(parcel(1, 1, false)), Err(ParcelError::TooLarge { number: 1 }));
    inbox.abandon(1);
    assert_eq!(inbox.take(parcel(1, 5, false)), Ok(Some((1, bytes(5, 1)))));
}
