//! Tells the controller which data directories are online, whenever that is not what the image says.

use std::sync::Arc;
use std::time::Duration;

use levada_metadata::{Command, Image, Response};
use levada_service::shutdown::CancellationToken;
use levada_types::{BrokerEpoch, BrokerId};

use super::Standing;
use crate::Broker;

/// The pause before a report that did not get through is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The pause before a report that the controller refused is tried again: it will hardly think otherwise soon.
const RETRY_REFUSED: Duration = Duration::from_secs(30);

/// Reports until `stop`.
pub(crate) async fn report_directories(broker: Arc<Broker>, stop: CancellationToken) {
    let (mut standing, mut epoch) = (broker.directories.standing(), broker.epoch.subscribe());
    let mut offsets = broker.metadata.offsets();
    loop {
        offsets.borrow_and_update();
        let (now, registered) = (standing.borrow_and_update().clone(), *epoch.borrow_and_update());
        let news = registered.filter(|epoch| is_news(&broker.image(), broker.id(), *epoch, &now));
        let pause = match news {
            Some(epoch) => report(&broker, epoch, now).await,
            None => None,
        };
        let waiting = async {
            match (pause, news) {
                (Some(pause), _) => tokio::time::sleep(pause).await,
                // It was taken; the image shows it by now.
                (None, Some(_)) => {}
                (None, None) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = waiting => {}
            // One of the senders is gone only when the broker is.
            _ = standing.changed() => {}
            _ = epoch.changed() => {}
            _ = offsets.changed(), if pause.is_none() => {}
        }
    }
}

/// Whether `standing` is not what the registration under `epoch` says in `image`.
fn is_news(image: &Image, broker: BrokerId, epoch: BrokerEpoch, standing: &Standing) -> bool {
    image.broker(broker).filter(|known| known.epoch == epoch).is_some_and(|known| {
        let has = |list: &[levada_types::DirectoryId], ids: &[levada_types::DirectoryId]| {
            ids.iter().all(|id| list.contains(id))
        };
        !has(&known.directories, &standing.online) || !has(&standing.online, &known.directories)
    })
}

/// Reports once; gives the pause before the next try, if there has to be one.
async fn report(broker: &Broker, epoch: BrokerEpoch, standing: Standing) -> Option<Duration> {
    let Standing { online, has_offline } = standing;
    let command = Command::ReportDirectories { id: broker.id(), epoch, online, has_offline_directory: has_offline };
    let timeout = Duration::from_millis(broker.options.request_timeout_ms);
    match broker.submit(command, timeout).await {
        Ok(Response::ReportDirectories(Ok(()))) => None,
        Ok(answer) => {
            tracing::warn!(?answer, "the controller did not take note of the data directories; telling it again later");
            Some(RETRY_REFUSED)
        }
        Err(error) => {
            let reason = error.message.as_deref().unwrap_or_default();
            tracing::warn!(reason, "the controller could not be told of the data directories; trying again");
            Some(RETRY)
        }
    }
}
