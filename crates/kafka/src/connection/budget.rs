//! The memory that requests of all connections may hold together (`queued.max.request.bytes`).

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in units of this size.
const UNIT: usize = 1_024;

/// A share of the budget; given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Share {
    permit: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Adds `other` to this share.
    pub(crate) fn merge(&mut self, other: Self) {
        match (&mut self.permit, other.permit) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine, theirs) => *mine = mine.take().or(theirs),
        }
    }
}

/// The budget. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    total: usize,
}

impl Budget {
    /// A budget of `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        let total = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(total)), total }
    }

    /// How many bytes are taken.
    pub(crate) fn taken(&self) -> usize {
        (self.total - self.units.available_permits().min(self.total)) * UNIT
    }

    /// Whether less than a quarter is left.
    pub(crate) fn is_scarce(&self) -> bool {
        self.units.available_permits() < self.total / 4
    }

    /// Takes a share of `bytes` if it is there.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Share> {
        let permit = Arc::clone(&self.units).try_acquire_many_owned(units(bytes)).ok()?;
        Some(Share { permit: Some(permit) })
    }

    /// Takes a share of `bytes` when it is there; first come, first served.
    pub(crate) async fn take(&self, bytes: usize) -> Share {
        // The semaphore is never closed.
        Share { permit: Arc::clone(&self.units).acquire_many_owned(units(bytes)).await.ok() }
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_is_given_back_can_be_taken_again() {
        let budget = Budget::new(10 * UNIT);
        let mut share = budget.try_take(4 * UNIT).expect("there");
        share.merge(budget.try_take(5 * UNIT + 1).expect("there"));
        assert!(budget.try_take(1).is_none());
        assert_eq!((budget.is_scarce(), budget.taken()), (true, 10 * UNIT));
        let mut waiting = Box::pin(budget.take(UNIT));
        assert!((&mut waiting).now_or_never().is_none());
        drop(share);
        let _share = waiting.await;
        assert!(!budget.is_scarce());
        assert!(budget.try_take(9 * UNIT).is_some());
    }
}
