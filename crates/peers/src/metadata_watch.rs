//! Keeps the newest image of the cluster's metadata.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use levada_metadata::Image;
use levada_proto::internal::WatchMetadataRequest;
use levada_service::shutdown::CancellationToken;
use levada_types::{ErrorCode, MetadataOffset};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::{Code, Request, Status};

use crate::Controllers;
use crate::backoff::Backoff;
use crate::metadata_assembler::{MetadataAssembler, StreamError};
use crate::outcome::Outcome;

/// How long a controller may be silent on a stream before another one is tried. It says twice a second that all is well.
const SILENCE: Duration = Duration::from_secs(2);

/// How long the first word may take: a controller that has just started reads its log first.
const FIRST_PIECE: Duration = Duration::from_secs(15);

/// Follows the metadata and holds the newest image, which never moves back. Clones share it.
#[derive(Debug, Clone)]
pub struct MetadataWatch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    image: ArcSwap<Image>,
    /// The offset of `image`, set after it: who sees an offset here finds that image or a newer one.
    offset: watch::Sender<MetadataOffset>,
    failure: watch::Sender<Option<WatchFailure>>,
}

/// The metadata cannot be followed by this version of the program. Nothing is skipped; the process must stop.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}; the node stops rather than act on metadata it does not understand")]
pub struct WatchFailure {
    /// What cannot be read.
    pub reason: String,
}

/// The image did not reach an offset in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the metadata here stands at offset {have}, and {wanted} did not arrive in time")]
pub struct StaleImage {
    /// The offset that was waited for.
    pub wanted: MetadataOffset,
    /// The offset that was reached.
    pub have: MetadataOffset,
}

impl StaleImage {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        ErrorCode::RequestTimedOut
    }
}

impl MetadataWatch {
    /// Follows the metadata of `controllers` in a task of its own until `shutdown` is cancelled. Begins with an empty
    /// image at offset 0.
    #[must_use]
    pub fn start(controllers: Controllers, shutdown: CancellationToken) -> (Self, JoinHandle<()>) {
        let watch = Self::holding(Image::new());
        let task = tokio::spawn(follow(watch.shared.clone(), controllers, shutdown));
        (watch, task)
    }

    /// A watch that holds `image` and follows nothing, for tests of what stands on a watch.
    #[must_use]
    pub fn holding(image: Image) -> Self {
        let offset = watch::Sender::new(image.offset());
        let failure = watch::Sender::new(None);
        Self { shared: Arc::new(Shared { image: ArcSwap::from_pointee(image), offset, failure }) }
    }

    /// The newest image.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.shared.image.load_full()
    }

    /// The offsets of new images. Holds the newest only, so a slow reader misses images in between, never the last.
    #[must_use]
    pub fn offsets(&self) -> watch::Receiver<MetadataOffset> {
        self.shared.offset.subscribe()
    }

    /// Resolves when the image is newer than `seen`.
    pub async fn changed(&self, seen: MetadataOffset) -> Arc<Image> {
        // The sender lives in `self`, so this ends only by a change.
        let _ = self.offsets().wait_for(|offset| *offset > seen).await;
        self.image()
    }

    /// The image once it has reached `offset`.
    ///
    /// # Errors
    /// [`StaleImage`] if it does not within `timeout`.
    pub async fn wait_for(&self, offset: MetadataOffset, timeout: Duration) -> Result<Arc<Image>, StaleImage> {
        let mut offsets = self.offsets();
        let reached = offsets.wait_for(|have| *have >= offset);
        match tokio::time::timeout(timeout, reached).await {
            Ok(_) => Ok(self.image()),
            Err(_) => Err(StaleImage { wanted: offset, have: self.image().offset() }),
        }
    }

    /// Puts `image` in the place of the present one if it is newer; for tests and for the controller itself, which has
    /// the images at first hand.
    pub fn publish(&self, image: &Image) {
        self.shared.publish(image);
    }

    /// Resolves if the metadata cannot be followed any more; the process should then stop.
    pub async fn failed(&self) -> WatchFailure {
        let mut failures = self.shared.failure.subscribe();
        loop {
            if let Some(failure) = failures.borrow_and_update().clone() {
                return failure;
            }
            if failures.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Shared {
    fn publish(&self, image: &Image) {
        self.offset.send_if_modified(|offset| {
            let newer = image.offset() > *offset;
            if newer {
                self.image.store(Arc::new(image.clone()));
                *offset = image.offset();
            }
            newer
        });
    }
}

async fn follow(shared: Arc<Shared>, controllers: Controllers, shutdown: CancellationToken) {
    let mut backoff = Backoff::new();
    loop {
        let before = shared.image.load().offset();
        let ended = tokio::select! {
            () = shutdown.cancelled() => return,
            ended = stream_from_one(&shared, &controllers) => ended,
        };
        if shared.image.load().offset() > before {
            backoff = Backoff::new();
        }
        if let Err(failure) = ended {
            tracing::error!(%failure, "cannot follow the metadata");
            shared.failure.send_replace(Some(failure));
            return;
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(backoff.pause())).await.is_none() {
            return;
        }
    }
}

/// Follows one stream to its end, which is no failure: another stream, perhaps of another controller, comes next.
async fn stream_from_one(shared: &Shared, controllers: &Controllers) -> Result<(), WatchFailure> {
    let Some(address) = controllers.next() else {
        return Err(WatchFailure { reason: "no controller is configured".to_owned() });
    };
    let mut replaced = std::pin::pin!(controllers.until_replaced(&address));
    let mut assembler = MetadataAssembler::new(Image::clone(&shared.image.load()));
    let request = WatchMetadataRequest { from_offset: shared.image.load().offset().0 };
    let mut stub = controllers.stub_apart(&address);
    let opened = tokio::select! {
        opened = stub.watch_metadata(Request::new(request)) => opened,
        () = &mut replaced => return Ok(()),
        () = tokio::time::sleep(FIRST_PIECE) => Err(Status::unavailable("the metadata stream was not opened")),
    };
    let mut pieces = match opened {
        Ok(pieces) => pieces.into_inner(),
        Err(status) => {
            lost(controllers, &address, &status);
            return Ok(());
        }
    };
    let mut patience = FIRST_PIECE;
    loop {
        let received = tokio::select! {
            received = pieces.message() => received,
            () = &mut replaced => return Ok(()),
            () = tokio::time::sleep(patience) => {
                tracing::debug!(controller = %address, "the metadata stream is silent");
                controllers.failed(&address);
                return Ok(());
            }
        };
        patience = SILENCE;
        match received {
            Ok(Some(piece)) => match assembler.take(piece) {
                Ok(Some(image)) => shared.publish(image),
                Ok(None) => {}
                Err(StreamError::Disorder(what)) => {
                    tracing::warn!(controller = %address, what, "the metadata stream is out of order; beginning anew");
                    return Ok(());
                }
                Err(error) => return Err(WatchFailure { reason: error.to_string() }),
            },
            Ok(None) => return Ok(()),
            Err(status) => {
                lost(controllers, &address, &status);
                return Ok(());
            }
        }
    }
}

fn lost(controllers: &Controllers, address: &levada_service::net::Address, status: &Status) {
    match Outcome::of(status) {
        Outcome::NotActive(active) => controllers.hint(address, active),
        _ => controllers.failed(address),
    }
    if status.code() == Code::OutOfRange {
        tracing::warn!(controller = %address, reason = status.message(), "the controller is behind this node's metadata");
    } else {
        tracing::debug!(controller = %address, reason = status.message(), "the metadata stream ended");
    }
}
