//! What a proxy does to what passes.

use std::{num::NonZeroU32, time::Duration};

/// Which way bytes go on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From whoever connected to whom it connected to.
    There,
    /// The other way.
    Back,
}

/// What a proxy does to what passes; by default nothing.
///
/// Loss of packets is, to those who speak TCP, a pause in one direction and at worst the end of the connection: that is what
/// there is of it here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weather {
    /// Every piece comes later by at least the first and at most the second; the order stays.
    pub delay: (Duration, Duration),
    /// No more than so many bytes pass in a second, each way.
    pub bytes_per_second: Option<NonZeroU32>,
    /// Nothing passes there.
    pub stalled_there: bool,
    /// Nothing passes back.
    pub stalled_back: bool,
    /// Of a thousand pieces so many end their connection in place of passing.
    pub resets_per_mille: u16,
}

impl Weather {
    /// Whether nothing passes this way.
    pub(crate) fn is_stalled(&self, way: Way) -> bool {
        match way {
            Way::There => self.stalled_there,
            Way::Back => self.stalled_back,
        }
    }

    /// How long after a piece of so many bytes the next one may follow.
    pub(crate) fn pause(&self, bytes: usize) -> Duration {
        self.bytes_per_second.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(u32::try_from(bytes).map_or(f64::from(u32::MAX), f64::from) / f64::from(rate.get()))
        })
    }

    /// The delay of a piece, by a number that was drawn.
    pub(crate) fn delay(&self, drawn: u64) -> Duration {
        let (least, most) = self.delay;
        let spread = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX);
        least + Duration::from_micros(drawn.checked_rem(spread).unwrap_or(0))
    }
}
