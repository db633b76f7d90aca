//! What a member is told to do, on stdin.

use std::{
    io,
    sync::mpsc::{self, Receiver, TryRecvError},
    thread,
};

use levada_end_to_end::Outcome;

/// What a member is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// To close its consumer and end.
    Leave,
    /// Not to poll for so many milliseconds.
    Sleep(u64),
    /// To tell what its client said of itself.
    Say,
}

/// The orders that came and were not looked at yet.
#[derive(Debug)]
pub(super) struct Orders(Receiver<Order>);

impl Orders {
    /// Reads stdin on a thread of its own.
    pub(super) fn listen() -> Outcome<Self> {
        let (tell, told) = mpsc::channel();
        thread::Builder::new().name("orders".to_owned()).spawn(move || {
            let orders = io::stdin().lines().map_while(Result::ok).filter_map(|line| read(&line));
            for order in orders {
                if tell.send(order).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self(told))
    }

    /// The next order, if there is one; at the end of stdin it is to leave.
    pub(super) fn next(&self) -> Option<Order> {
        match self.0.try_recv() {
            Ok(order) => Some(order),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Order::Leave),
        }
    }
}

fn read(line: &str) -> Option<Order> {
    match line.split_once(' ') {
        Some(("sleep", ms)) => ms.parse().ok().map(Order::Sleep),
        None if line == "leave" => Some(Order::Leave),
        None if line == "say" => Some(Order::Say),
        _ => None,
    }
}
