//! A Metadata request made by hand: a client of librdkafka for each look would come and go by the thousand, while it is the
//! brokers that are to come and go.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use levada_end_to_end::{Outcome, fail};

/// How long a broker may take to tell.
const LIMIT: Duration = Duration::from_secs(5);

/// The largest answer: a run has some dozen partitions.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Metadata (3) in version 1, correlation id 0, no client id, every topic.
const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/// How one partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) topic: String,
    pub(super) partition: i32,
    /// Who leads it, -1 for nobody.
    pub(super) leader: i32,
    pub(super) replicas: BTreeSet<i32>,
    pub(super) in_sync: BTreeSet<i32>,
}

/// What the broker at this address tells of every partition.
pub(super) fn ask(address: SocketAddr) -> Outcome<Vec<Standing>> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(&REQUEST)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length))?;
    if length > MAX_ANSWER_BYTES {
        return fail(format!("a Metadata answer of {length} bytes"));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    let all = read(&mut Answer(&answer))?;
    if all.is_empty() { fail("it knows of no topic") } else { Ok(all) }
}

fn read(answer: &mut Answer<'_>) -> Outcome<Vec<Standing>> {
    answer.i32()?; // correlation id
    for _ in 0..answer.i32()? {
        answer.i32()?; // node id
        answer.string()?; // host
        answer.i32()?; // port
        answer.string()?; // rack
    }
    answer.i32()?; // controller id
    let mut all = Vec::new();
    for _ in 0..answer.i32()? {
        answer.i16()?; // error
        let topic = answer.string()?;
        answer.take(1)?; // internal
        for _ in 0..answer.i32()? {
            answer.i16()?; // error
            let (partition, leader) = (answer.i32()?, answer.i32()?);
            let (replicas, in_sync) = (answer.ids()?, answer.ids()?);
            all.push(Standing { topic: topic.clone(), partition, leader, replicas, in_sync });
        }
    }
    Ok(all)
}

/// An answer that is read from front to back.
struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    fn take(&mut self, bytes: usize) -> Outcome<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or("the answer is too short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn i16(&mut self) -> Outcome<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into()?))
    }

    fn i32(&mut self) -> Outcome<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }

    /// A string; empty for none.
    fn string(&mut self) -> Outcome<String> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        Ok(String::from_utf8(self.take(length)?.to_vec())?)
    }

    fn ids(&mut self) -> Outcome<BTreeSet<i32>> {
        (0..self.i32()?).map(|_| self.i32()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_to_its_end_and_no_further() {
        let mut bytes = Vec::new();
        let number = |bytes: &mut Vec<u8>, value: i32| bytes.extend(value.to_be_bytes());
        let text = |bytes: &mut Vec<u8>, text: &str| {
            bytes.extend((text.len() as i16).to_be_bytes());
            bytes.extend(text.as_bytes());
        };
        [0, 1, 7].into_iter().for_each(|value| number(&mut bytes, value));
        text(&mut bytes, "host");
        number(&mut bytes, 9092);
        bytes.extend((-1_i16).to_be_bytes()); // no rack
        [7, 1].into_iter().for_each(|value| number(&mut bytes, value));
        bytes.extend([0, 0]);
        text(&mut bytes, "topic");
        bytes.push(0);
        number(&mut bytes, 1);
        bytes.extend([0, 0]);
        [3, -1, 2, 1, 2, 1, 2].into_iter().for_each(|value| number(&mut bytes, value));
        let standing = Standing {
            topic: "topic".to_owned(),
            partition: 3,
            leader: -1,
            replicas: [1, 2].into(),
            in_sync: [2].into(),
        };
        assert_eq!(read(&mut Answer(&bytes)).expect("it is whole"), [standing]);
        assert!(read(&mut Answer(&bytes[..bytes.len() - 1])).is_err());
    }
}
