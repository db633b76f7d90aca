//! A Metadata request made by hand: a client of librdkafka for each look would come and go by the thousand, while it is the
//! brokers that are to come and go.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{Outcome, fail};

/// The largest answer: a run has some dozen partitions.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Metadata (3) in version 5, correlation id 0, no client id, every topic, none to be created.
const REQUEST: [u8; 19] = [0, 0, 0, 15, 0, 3, 0, 5, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];

/// What a broker tells of its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The brokers that it says there are.
    pub brokers: BTreeSet<i32>,
    /// Every partition of every topic.
    pub partitions: Vec<Standing>,
}

/// How one partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// Kafka's error code, 0 for none.
    pub error: i16,
    /// Who leads it, -1 for nobody.
    pub leader: i32,
    /// Who holds it.
    pub replicas: BTreeSet<i32>,
    /// Who has everything.
    pub in_sync: BTreeSet<i32>,
    /// Who holds it and does not serve it.
    pub offline: BTreeSet<i32>,
}

impl Metadata {
    /// What the broker at this address tells within `limit` for each step of the exchange.
    ///
    /// # Errors
    /// If it does not answer, or what it answers is no Metadata answer.
    pub fn told_by(broker: SocketAddr, limit: Duration) -> Outcome<Self> {
        let mut stream = TcpStream::connect_timeout(&broker, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(&REQUEST)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length))?;
        if length > MAX_ANSWER_BYTES {
            return fail(format!("a Metadata answer of {length} bytes"));
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer)?;
        Self::read(&mut Answer(&answer))
    }

    fn read(answer: &mut Answer<'_>) -> Outcome<Self> {
        answer.i32()?; // correlation id
        answer.i32()?; // throttle time
        let mut brokers = BTreeSet::new();
        for _ in 0..answer.i32()? {
            brokers.insert(answer.i32()?);
            answer.string()?; // host
            answer.i32()?; // port
            answer.string()?; // rack
        }
        answer.string()?; // cluster id
        answer.i32()?; // controller id
        let mut partitions = Vec::new();
        for _ in 0..answer.i32()? {
            answer.i16()?; // error
            let topic = answer.string()?;
            answer.take(1)?; // internal
            for _ in 0..answer.i32()? {
                partitions.push(Standing {
                    topic: topic.clone(),
                    error: answer.i16()?,
                    partition: answer.i32()?,
                    leader: answer.i32()?,
                    replicas: answer.ids()?,
                    in_sync: answer.ids()?,
                    offline: answer.ids()?,
                });
            }
        }
        partitions.sort_by(|one, other| (&one.topic, one.partition).cmp(&(&other.topic, other.partition)));
        Ok(Self { brokers, partitions })
    }
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
        [0, 0, 1, 7].into_iter().for_each(|value| number(&mut bytes, value));
        text(&mut bytes, "host");
        number(&mut bytes, 9092);
        bytes.extend((-1_i16).to_be_bytes()); // no rack
        text(&mut bytes, "cluster");
        [7, 1].into_iter().for_each(|value| number(&mut bytes, value));
        bytes.extend([0, 0]);
        text(&mut bytes, "topic");
        bytes.push(0);
        number(&mut bytes, 1);
        bytes.extend(5_i16.to_be_bytes());
        [3, -1, 2, 1, 2, 1, 2, 1, 1].into_iter().for_each(|value| number(&mut bytes, value));
        let standing = Standing {
            topic: "topic".to_owned(),
            partition: 3,
            error: 5,
            leader: -1,
            replicas: [1, 2].into(),
            in_sync: [2].into(),
            offline: [1].into(),
        };
        let told = Metadata { brokers: [7].into(), partitions: vec![standing] };
        assert_eq!(Metadata::read(&mut Answer(&bytes)).expect("it is whole"), told);
        assert!(Metadata::read(&mut Answer(&bytes[..bytes.len() - 1])).is_err());
    }
}
