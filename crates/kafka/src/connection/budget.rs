//! The memory that requests of all connections may hold together (`queued.max.request.bytes`).

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::frame_reader::FREE_BYTES;

/// Bytes are counted in units of this size.
const UNIT: usize = 1_024;

/// One part in so many is there besides, for shares of at most [`FREE_BYTES`]: small requests are served although large
/// ones that do not go on hold everything else.
const RESERVE: usize = 16;

/// A share of the budget; given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Share {
    common: Option<OwnedSemaphorePermit>,
    reserved: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Adds `other` to this share.
    pub(crate) fn merge(&mut self, other: Self) {
        for (mine, theirs) in [(&mut self.common, other.common), (&mut self.reserved, other.reserved)] {
            match (mine.as_mut(), theirs) {
                (Some(mine), Some(theirs)) => mine.merge(theirs),
                (None, theirs) => *mine = theirs,
                (Some(_), None) => {}
            }
        }
    }

    fn common(permit: OwnedSemaphorePermit) -> Self {
        Self { common: Some(permit), reserved: None }
    }

    fn reserved(permit: OwnedSemaphorePermit) -> Self {
        Self { common: None, reserved: Some(permit) }
    }
}

/// The budget. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    common: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    total: usize,
}

impl Budget {
    /// A budget of `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        let total = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        let semaphore = |units| Arc::new(Semaphore::new(units));
        Self { common: semaphore(total), reserve: semaphore(total / RESERVE), total }
    }

    /// How many bytes are taken.
    pub(crate) fn taken(&self) -> usize {
        let taken = |of: usize, semaphore: &Semaphore| of.saturating_sub(semaphore.available_permits());
        (taken(self.total, &self.common) + taken(self.total / RESERVE, &self.reserve)) * UNIT
    }

    /// Whether less than a quarter is left.
    pub(crate) fn is_scarce(&self) -> bool {
        self.common.available_permits() < self.total / 4
    }

    /// Takes a share of `bytes` if it is there.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Share> {
        if let Ok(permit) = Arc::clone(&self.common).try_acquire_many_owned(units(bytes)) {
            return Some(Share::common(permit));
        }
        let reserve = self.reserve_for(bytes)?;
        reserve.try_acquire_many_owned(units(bytes)).ok().map(Share::reserved)
    }

    /// Takes a share of `bytes` when it is there; first come, first served.
    pub(crate) async fn take(&self, bytes: usize) -> Share {
        let common = Arc::clone(&self.common).acquire_many_owned(units(bytes));
        // The semaphores are never closed.
        let Some(reserve) = self.reserve_for(bytes) else {
            return common.await.map(Share::common).unwrap_or_default();
        };
        tokio::select! {
            permit = common => permit.map(Share::common).unwrap_or_default(),
            permit = reserve.acquire_many_owned(units(bytes)) => permit.map(Share::reserved).unwrap_or_default(),
        }
    }

    /// The reserve, if a share of `bytes` may come from it and fits.
    fn reserve_for(&self, bytes: usize) -> Option<Arc<Semaphore>> {
        let may = bytes <= FREE_BYTES && units(bytes) as usize <= self.total / RESERVE;
        may.then(|| Arc::clone(&self.reserve))
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// A budget whose reserve is one unit.
    const TOTAL: usize = RESERVE * UNIT;

    #[tokio::test]
    async fn what_is_given_back_can_be_taken_again() {
        let budget = Budget::new(TOTAL);
        let mut share = budget.try_take(9 * UNIT).expect("there");
        share.merge(budget.try_take(6 * UNIT + 1).expect("there"));
        assert!(budget.try_take(2 * UNIT).is_none());
        assert_eq!((budget.is_scarce(), budget.taken()), (true, TOTAL));
        let mut waiting = Box::pin(budget.take(2 * UNIT));
        assert!((&mut waiting).now_or_never().is_none());
        drop(share);
        let _share = waiting.await;
        assert!(!budget.is_scarce());
        assert!(budget.try_take(14 * UNIT).is_some());
    }

    #[tokio::test]
    async fn what_is_small_is_served_although_what_is_large_has_taken_the_rest_and_waits() {
        let budget = Budget::new(TOTAL);
        let _large = budget.try_take(TOTAL).expect("the largest request fits");
        let mut waiting = Box::pin(budget.take(2 * UNIT));
        assert!((&mut waiting).now_or_never().is_none());
        let mut small = budget.try_take(UNIT).expect("from the reserve");
        small.merge(Share::default());
        assert!(budget.try_take(UNIT).is_none(), "the reserve has an end, too");
        let mut next = Box::pin(budget.take(UNIT));
        assert!((&mut next).now_or_never().is_none());
        drop(small);
        assert!((&mut next).now_or_never().is_some(), "ahead of what waits for the rest");
        assert!((&mut waiting).now_or_never().is_none());
        assert_eq!(budget.taken(), TOTAL);
    }
}
