//! What waits for one partition's actor.

use parking_lot::Mutex;

/// Jobs for one actor, in order, and whether its thread knows that there are any.
///
/// An actor is *scheduled* from the moment its first job is posted until its thread has found the mailbox empty; in
/// between it stands in the thread's queue (or runs) exactly once.
pub(crate) struct Mailbox<J>(Mutex<Contents<J>>);

struct Contents<J> {
    jobs: Vec<J>,
    scheduled: bool,
    closed: bool,
}

impl<J> Default for Mailbox<J> {
    fn default() -> Self {
        Self(Mutex::new(Contents { jobs: Vec::new(), scheduled: false, closed: false }))
    }
}

/// What to do after a job was posted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Posted<J> {
    /// Put the actor into its thread's queue.
    Schedule,
    /// Nothing: it is scheduled already.
    Scheduled,
    /// The actor takes no more jobs; here is the job again.
    Closed(J),
}

impl<J> Mailbox<J> {
    /// Appends a job.
    pub(crate) fn post(&self, job: J) -> Posted<J> {
        let mut contents = self.0.lock();
        if contents.closed {
            return Posted::Closed(job);
        }
        contents.jobs.push(job);
        if std::mem::replace(&mut contents.scheduled, true) { Posted::Scheduled } else { Posted::Schedule }
    }

    /// Moves every waiting job into `into` (empty before). False, and no longer scheduled, if there was none.
    pub(crate) fn take(&self, into: &mut Vec<J>) -> bool {
        let mut contents = self.0.lock();
        if contents.jobs.is_empty() {
            contents.scheduled = false;
            // What a burst made grow is given back once the burst is over.
            contents.jobs = Vec::new();
            return false;
        }
        std::mem::swap(&mut contents.jobs, into);
        true
    }

    /// Takes no further jobs; those that wait are dropped here, by the caller's thread.
    pub(crate) fn close(&self) -> Vec<J> {
        let mut contents = self.0.lock();
        contents.closed = true;
        std::mem::take(&mut contents.jobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_scheduled_once_until_its_mailbox_was_found_empty() {
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.post(1), Posted::Schedule);
        assert_eq!(mailbox.post(2), Posted::Scheduled);
        let mut jobs = Vec::new();
        assert!(mailbox.take(&mut jobs));
        assert_eq!(jobs, [1, 2]);
        assert_eq!(mailbox.post(3), Posted::Scheduled, "its thread will look again");
        jobs.clear();
        assert!(mailbox.take(&mut jobs));
        assert_eq!(jobs, [3]);
        jobs.clear();
        assert!(!mailbox.take(&mut jobs));
        assert_eq!(mailbox.post(4), Posted::Schedule);
    }

    #[test]
    fn a_closed_mailbox_gives_jobs_back() {
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.post(1), Posted::Schedule);
        assert_eq!(mailbox.close(), [1]);
        assert_eq!(mailbox.post(2), Posted::Closed(2));
    }
}
