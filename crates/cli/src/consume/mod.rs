//! `levada consume TOPIC`: records to standard output.

mod format;
mod member;
mod start;

use std::io::{self, Write};
use std::pin::pin;
use std::task::Poll;

use clap::Args;
use futures::poll;
use levada_client::{ConsumedRecord, Consumer, OffsetReset, StartAt};

use crate::CliError;
use crate::connect::{ConnectArgs, runtime};
use format::{RecordFormat, RecordWriter};
use start::Start;

/// Arguments of `consume`.
#[derive(Debug, Args)]
pub struct ConsumeArgs {
    /// The topic.
    topic: String,
    /// Consume as a member of this group: the members share the partitions, and what is written is committed. It goes on
    /// where the group has committed; --from says where it begins if it has not. Ctrl-C (and SIGTERM) leaves the group.
    #[arg(long, value_name = "GROUP", conflicts_with_all = ["partitions", "exit_at_end"])]
    group: Option<String>,
    /// Where to begin in each partition: `beginning`, `end`, an offset, `-N` for N before the end, or a time as
    /// `2026-01-31T12:00:00Z` or `15m ago`.
    #[arg(long, value_name = "WHERE", default_value = "beginning", allow_hyphen_values = true)]
    from: Start,
    /// Read this partition only; may be repeated.
    #[arg(long = "partition", value_name = "N")]
    partitions: Vec<i32>,
    /// Stop after this many records.
    #[arg(long, value_name = "N")]
    max_records: Option<u64>,
    /// Stop at the end that each partition had at the start, in place of waiting for more.
    #[arg(long)]
    exit_at_end: bool,
    /// What is written of each record.
    #[arg(long, value_enum, default_value_t = RecordFormat::Value)]
    format: RecordFormat,
    /// What stands between key and value with `--format key-value`.
    #[arg(long, value_name = "TEXT", default_value = "\t")]
    key_separator: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Runs the command.
pub(crate) fn run(args: &ConsumeArgs) -> Result<(), CliError> {
    runtime(2)?.block_on(consume(args))
}

async fn consume(args: &ConsumeArgs) -> Result<(), CliError> {
    if args.max_records == Some(0) {
        return Ok(());
    }
    let writer = RecordWriter::new(args.format, &args.key_separator);
    let output = io::BufWriter::new(io::stdout().lock());
    let outcome = match &args.group {
        Some(group) => member::copy(args, member::join(args, group).await?, &writer, output).await,
        None => copy(args, open(args).await?, &writer, output).await,
    };
    match outcome {
        // The reader of the output has had enough.
        Err(CliError::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

async fn open(args: &ConsumeArgs) -> Result<Consumer, CliError> {
    let client = args.connect.client()?;
    // An offset that was asked for and is not there is an error. Otherwise, what retention deletes while the reading is
    // under way is passed over.
    let reset = match args.from {
        Start::At(StartAt::Offset(_)) => OffsetReset::Fail,
        Start::At(_) | Start::BeforeEnd(_) => OffsetReset::Earliest,
    };
    let mut builder = client.consumer().stop_at_end(args.exit_at_end).auto_offset_reset(reset);
    for (partition, start) in args.from.resolve(&client, &args.topic, &args.partitions).await? {
        builder = match partition {
            Some(partition) => builder.partition(&args.topic, partition, start),
            None => builder.topic(&args.topic, start),
        };
    }
    Ok(builder.build().await?)
}

/// Writes records until there are no more or there were enough. What was written is flushed before waiting, so that a
/// person sees a record when it comes.
async fn copy(
    args: &ConsumeArgs,
    mut consumer: Consumer,
    writer: &RecordWriter<'_>,
    mut output: impl Write,
) -> Result<(), CliError> {
    let failed = || CliError::io("standard output");
    let mut left = args.max_records.unwrap_or(u64::MAX);
    while left > 0 {
        let record: Option<ConsumedRecord> = {
            let mut next = pin!(consumer.next());
            match poll!(&mut next) {
                Poll::Ready(record) => record?,
                Poll::Pending => {
                    output.flush().map_err(failed())?;
                    next.await?
                }
            }
        };
        let Some(record) = record else { break };
        writer.write(&record, &mut output)?;
        left -= 1;
    }
    output.flush().map_err(failed())
}
