//! `levada consume TOPIC --group GROUP`: as a member of a consumer group.

use std::io::Write;
use std::pin::{Pin, pin};

use levada_client::{GroupConsumer, OffsetReset, StartAt};
use tokio::signal::unix::{SignalKind, signal};

use super::ConsumeArgs;
use super::format::RecordWriter;
use super::start::Start;
use crate::CliError;

/// How many records are taken at a time, Kafka's `max.poll.records`. What is written and flushed counts as processed.
const POLL_RECORDS: u32 = 500;

/// Joins the group.
pub(super) async fn join(args: &ConsumeArgs, group: &str) -> Result<GroupConsumer, CliError> {
    let reset = match args.from {
        Start::At(StartAt::Earliest) => OffsetReset::Earliest,
        Start::At(StartAt::Latest) => OffsetReset::Latest,
        Start::At(_) | Start::BeforeEnd(_) => {
            let text = "a group goes on where it has committed; --from beginning and --from end say where it begins if it \
                        has not, and `levada group reset-offsets` moves it";
            return Err(CliError::Usage(text.to_owned()));
        }
    };
    let at_a_time =
        args.max_records.map_or(POLL_RECORDS, |max| POLL_RECORDS.min(u32::try_from(max).unwrap_or(u32::MAX)));
    let builder = args.connect.client()?.subscribe(group).topics([&args.topic]).client_id("levada-consume");
    Ok(builder.auto_offset_reset(reset).max_poll_records(at_a_time).build().await?)
}

/// Writes records until there were enough or the user stops it; then leaves the group. A user who cannot wait for that presses
/// Ctrl-C once more, and the group waits for the session timeout. SIGTERM says nothing new when it comes again: `timeout`
/// sends it twice.
pub(super) async fn copy(
    args: &ConsumeArgs,
    mut consumer: GroupConsumer,
    writer: &RecordWriter<'_>,
    mut output: impl Write,
) -> Result<(), CliError> {
    let mut stop = pin!(stopped()?);
    let written = write_all(args, &mut consumer, writer, &mut output, stop.as_mut()).await;
    let mut interrupts = signal(SignalKind::interrupt()).map_err(CliError::io("waiting for SIGINT"))?;
    let leaving = async {
        match &written {
            Ok(Written::All) => consumer.close().await,
            // What was not written is for another member.
            Ok(Written::Enough) | Err(_) => consumer.abandon().await,
        }
    };
    let left = tokio::select! {
        left = leaving => left,
        _ = interrupts.recv() => Ok(()),
    };
    // Why it could not be written is what the user is to know first.
    written?;
    Ok(left?)
}

/// Ends when the process is told to stop: by Ctrl-C, or as a service is.
fn stopped() -> Result<impl Future<Output = ()>, CliError> {
    let mut interrupts = signal(SignalKind::interrupt()).map_err(CliError::io("waiting for SIGINT"))?;
    let mut terminations = signal(SignalKind::terminate()).map_err(CliError::io("waiting for SIGTERM"))?;
    Ok(async move {
        tokio::select! {
            _ = interrupts.recv() => {}
            _ = terminations.recv() => {}
        }
    })
}

/// How much of what the consumer returned was written.
#[derive(Debug, Clone, Copy)]
enum Written {
    All,
    /// There were more than are wanted; those that were written are told to be processed.
    Enough,
}

async fn write_all(
    args: &ConsumeArgs,
    consumer: &mut GroupConsumer,
    writer: &RecordWriter<'_>,
    output: &mut impl Write,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<Written, CliError> {
    let failed = || CliError::io("standard output");
    let mut left = args.max_records.unwrap_or(u64::MAX);
    while left > 0 {
        let records = tokio::select! {
            biased;
            () = stop.as_mut() => return Ok(Written::All),
            records = consumer.poll() => records?,
        };
        let wanted = records.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let (wanted, surplus) = records.split_at(wanted);
        for record in wanted {
            writer.write(record, output)?;
            left -= 1;
        }
        // The next poll, or leaving, tells that these are processed.
        output.flush().map_err(failed())?;
        if !surplus.is_empty() {
            for record in wanted {
                consumer.membership().processed(record)?;
            }
            return Ok(Written::Enough);
        }
    }
    Ok(Written::All)
}
