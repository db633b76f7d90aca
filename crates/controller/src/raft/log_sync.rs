//! Making what sled has written durable: one thread, one fsync for all who wait.
//!
//! sled 0.34 does not fsync on Linux when it flushes (it calls `sync_file_range`, which says nothing to the disk's cache), so
//! its `db` file is synced here after each flush.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::reserve::Reserve;
use super::witness::Witness;

/// Runs when what was written before it was handed over is durable, or cannot become so.
type Waiter = Box<dyn FnOnce(io::Result<()>) + Send>;

/// The thread that flushes and syncs. Dropping it waits for the thread, which first serves everybody who waits.
pub(super) struct LogSync {
    waiters: Option<Sender<Waiter>>,
    thread: Option<JoinHandle<()>>,
}

impl LogSync {
    pub(super) fn start(db: sled::Db, reserve: Arc<Reserve>, witness: Arc<Witness>) -> io::Result<Self> {
        let (waiters, received) = channel();
        let thread = std::thread::Builder::new()
            .name("metadata-log".to_owned())
            .spawn(move || serve(&received, || flush(&db, &reserve, &witness)))?;
        Ok(Self { waiters: Some(waiters), thread: Some(thread) })
    }

    /// Calls `waiter` once everything written so far is durable. Waiters are called in the order in which they came.
    pub(super) fn when_durable(&self, waiter: impl FnOnce(io::Result<()>) + Send + 'static) {
        let refused = match &self.waiters {
            Some(waiters) => waiters.send(Box::new(waiter)).err().map(|refused| refused.0),
            None => Some(Box::new(waiter) as Waiter),
        };
        if let Some(waiter) = refused {
            waiter(Err(io::Error::other("the thread that syncs the metadata log is gone")));
        }
    }
}

impl Drop for LogSync {
    fn drop(&mut self) {
        self.waiters = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that syncs the metadata log had panicked");
        }
    }
}

fn flush(db: &sled::Db, reserve: &Reserve, witness: &Witness) -> io::Result<()> {
    let testimony = witness.before_sync();
    db.flush().map_err(io::Error::from)?;
    reserve.file().sync_data()?;
    // Before anybody hears that it is durable: a process that is killed has told nobody more than the witness knows.
    witness.synced(testimony);
    reserve.fill();
    Ok(())
}

/// One sync serves all who had come before it began. After a failed sync nothing can be said about any later one (the
/// kernel may have dropped the dirty pages), so the failure stays.
fn serve(received: &Receiver<Waiter>, mut sync: impl FnMut() -> io::Result<()>) {
    let mut failed: Option<(io::ErrorKind, String)> = None;
    while let Ok(first) = received.recv() {
        let waiters: Vec<Waiter> = std::iter::once(first).chain(received.try_iter()).collect();
        if failed.is_none()
            && let Err(error) = sync()
        {
            tracing::error!(%error, "the metadata log cannot be synced; this controller stops");
            failed = Some((error.kind(), error.to_string()));
        }
        for waiter in waiters {
            waiter(match &failed {
                None => Ok(()),
                Some((kind, message)) => Err(io::Error::new(*kind, message.clone())),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn run(waiters: usize, results: Vec<io::Result<()>>) -> (Vec<bool>, usize) {
        let (sender, received) = channel::<Waiter>();
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        for _ in 0..waiters {
            let outcomes = Arc::clone(&outcomes);
            sender.send(Box::new(move |result| outcomes.lock().unwrap().push(result.is_ok()))).unwrap();
        }
        drop(sender);
        let mut results = results.into_iter();
        let mut syncs = 0;
        serve(&received, || {
            syncs += 1;
            results.next().unwrap_or(Ok(()))
        });
        let outcomes = outcomes.lock().unwrap().clone();
        (outcomes, syncs)
    }

    #[test]
    fn one_sync_serves_all_who_wait() {
        assert_eq!(run(5, vec![Ok(())]), (vec![true; 5], 1));
    }

    #[test]
    fn a_failed_sync_fails_everybody_from_then_on() {
        let (sender, received) = channel::<Waiter>();
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let (first, second) = (Arc::clone(&outcomes), Arc::clone(&outcomes));
        let again = sender.clone();
        let chain = move |result: io::Result<()>| {
            first.lock().unwrap().push(result.is_ok());
            let later: Waiter = Box::new(move |result| second.lock().unwrap().push(result.is_ok()));
            again.send(later).map_err(|_| ()).unwrap();
        };
        sender.send(Box::new(chain)).map_err(|_| ()).unwrap();
        drop(sender);
        let mut results = vec![Err(io::Error::other("disk"))].into_iter();
        serve(&received, || results.next().unwrap_or(Ok(())));
        assert_eq!(*outcomes.lock().unwrap(), [false, false]);
    }
}
