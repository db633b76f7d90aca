//! Submits commands to the active controller.

use std::time::Duration;

use bytes::Bytes;
use levada_metadata::{Command, ConfigChange, Response};
use levada_proto::internal;
use levada_types::MetadataOffset;
use tokio::time::Instant;
use tonic::{Code, Request};
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::outcome::Outcome;
use crate::{Controllers, SubmitError};

/// Finds the active controller and has it decide commands. Clones share what they know of the controllers.
#[derive(Debug, Clone)]
pub struct ControllerClient {
    pub(crate) controllers: Controllers,
}

impl ControllerClient {
    /// A client of `controllers`.
    #[must_use]
    pub fn new(controllers: Controllers) -> Self {
        Self { controllers }
    }

    /// Has the active controller decide `command`; gives its answer and the metadata offset at which it holds. An image
    /// that has reached the offset shows what was done ([`crate::MetadataWatch::wait_for`]).
    ///
    /// Until `timeout` has passed it looks for the active controller and repeats what certainly was not done, and what
    /// is the same when it is done twice. Everything else whose outcome is unknown is left to the caller.
    ///
    /// # Errors
    /// [`SubmitError`]; a refusal of the command's items is an answer, not an error.
    pub async fn submit(
        &self,
        command: &Command,
        timeout: Duration,
    ) -> Result<(Response, MetadataOffset), SubmitError> {
        let started = Instant::now();
        let deadline = started + timeout;
        let repeatable = is_repeatable(command);
        let message = internal::Command::from(command);
        // The same for every attempt, so that what it creates is created once.
        let request_id = Bytes::copy_from_slice(Uuid::new_v4().as_bytes());
        let mut backoff = Backoff::new();
        let mut maybe_done = false;
        let mut last = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let waited = started.elapsed();
                return Err(if maybe_done {
                    SubmitError::Unknown { last }
                } else {
                    SubmitError::NoController { waited, last }
                });
            }
            let Some(address) = self.controllers.next() else {
                return Err(SubmitError::NoController {
                    waited: started.elapsed(),
                    last: "none is configured".to_owned(),
                });
            };
            let mut request = Request::new(internal::SubmitRequest {
                command: Some(message.clone()),
                forwarded: false,
                request: request_id.clone(),
            });
            request.set_timeout(left);
            let mut stub = self.controllers.stub(&address);
            let answer = tokio::select! {
                answer = stub.submit(request) => answer,
                () = self.controllers.until_replaced(&address) => {
                    Err(tonic::Status::aborted("no answer, and another controller is active"))
                }
                () = tokio::time::sleep(left) => Err(tonic::Status::deadline_exceeded("no answer within the time")),
            };
            let status = match answer {
                Ok(answer) => {
                    self.controllers.served(&address);
                    return read(answer.into_inner());
                }
                Err(status) => status,
            };
            last = format!("{address}: {}", status.message());
            match Outcome::of(&status) {
                Outcome::NotActive(active) => {
                    let known = active.is_some();
                    self.controllers.hint(&address, active);
                    if known {
                        continue;
                    }
                }
                // One that has no room is alive, and may well be the active one.
                Outcome::NotDone if status.code() == Code::ResourceExhausted => {}
                Outcome::NotDone => self.controllers.failed(&address),
                Outcome::Unknown if repeatable => {
                    maybe_done = true;
                    self.controllers.failed(&address);
                }
                Outcome::Unknown => return Err(SubmitError::Unknown { last }),
                Outcome::Refused => return Err(SubmitError::Refused { reason: last }),
            }
            tokio::time::sleep_until((Instant::now() + backoff.pause()).min(deadline)).await;
        }
    }
}

fn read(answer: internal::SubmitResponse) -> Result<(Response, MetadataOffset), SubmitError> {
    let response = answer.response.ok_or_else(|| SubmitError::Unreadable { reason: "it is empty".to_owned() })?;
    let response =
        Response::try_from(response).map_err(|error| SubmitError::Unreadable { reason: error.to_string() })?;
    Ok((response, MetadataOffset(answer.offset)))
}

/// Whether doing `command` twice comes to the same as doing it once, the answer included. Creating a topic does, since the
/// topic's identity comes from the request; adding partitions does not: the second answer would be that they exist.
fn is_repeatable(command: &Command) -> bool {
    match command {
        Command::RegisterBroker(_)
        | Command::UnfenceBroker { .. }
        | Command::FenceBroker { .. }
        | Command::StopBroker { .. }
        | Command::RegisterController(_)
        | Command::AssignReplicasToDirs { .. }
        | Command::RegisterCoordinator(_)
        | Command::RemoveCoordinator { .. }
        | Command::CreateShards(_)
        | Command::ReportDirectories { .. }
        | Command::DrainBroker { .. }
        | Command::SetRebalance { .. }
        | Command::SetVoters { .. }
        | Command::BalanceLeaders { .. }
        | Command::UpdateFeatures { .. }
        | Command::CreateTopics { .. }
        // A block that was handed out and never arrived is only lost.
        | Command::AllocateProducerIds { .. } => true,
        Command::CreatePartitions { validate_only, .. } => *validate_only,
        // Done twice, they would answer that the second time was refused.
        Command::AlterPartition { .. }
        | Command::ElectLeaders { .. }
        | Command::ElectFromLogs { .. }
        | Command::UnregisterBroker { .. }
        | Command::UnregisterController { .. }
        | Command::DeleteTopics { .. } => false,
        // A reassignment that was cancelled is not there to be cancelled again.
        Command::AlterPartitionReassignments { reassignments, .. } => {
            reassignments.iter().all(|reassignment| reassignment.replicas.is_some())
        }
        Command::AlterConfigs { resources, validate_only, .. } => {
            let is_absolute = |change: &ConfigChange| matches!(change, ConfigChange::Set(_) | ConfigChange::Delete);
            *validate_only || resources.iter().all(|one| one.changes.iter().all(|(_, change)| is_absolute(change)))
        }
    }
}
