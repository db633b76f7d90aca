//! How a member ends: what is processed is committed, the group is told if the member leaves it, then the client.

use levada_groups::api::{Request, Response};
use levada_proto::status;
use levada_proto::v1;
use levada_proto::v1::subscribe_response::Kind as Told;
use levada_types::ErrorCode;

use super::{Asked, Effect, Member, Phase, Refusal, World};

/// The epoch of a heartbeat by which a member leaves (KIP-848).
const LEAVES: i32 = -1;

/// The epoch by which a static member leaves for a while.
const LEAVES_FOR_A_WHILE: i32 = -2;

/// How often a farewell is repeated that was not answered. After that the session timeout does its work.
pub(super) const FAREWELLS: u32 = 3;

/// Why a member ends, and how.
#[derive(Debug)]
pub(super) struct Ending {
    /// Whether the member leaves its group.
    leaves: bool,
    /// Whether the client is told that it has left.
    tells: bool,
    /// What the stream ends with.
    result: Result<(), v1::Error>,
    /// Farewells that may still be sent.
    farewells: u32,
    /// What is processed has been handed to the commits.
    commits: bool,
}

impl Ending {
    fn new(leaves: bool, tells: bool, result: Result<(), v1::Error>) -> Self {
        Self { leaves, tells, result, farewells: FAREWELLS, commits: true }
    }

    /// The client wants to leave.
    pub(super) fn asked_for() -> Self {
        Self::new(true, true, Ok(()))
    }

    /// The client has made no progress for too long.
    pub(super) fn impatient(error: v1::Error) -> Self {
        Self::new(true, true, Err(error))
    }

    /// The stream cannot go on.
    pub(super) fn failed(error: v1::Error) -> Self {
        Self::new(true, false, Err(error))
    }

    /// Another stream has the member's place.
    pub(super) fn replaced() -> Self {
        let text = "this member has come back on another stream, or another one has come under its instance_id";
        Self::refused(status::error(ErrorCode::FencedInstanceId, text))
    }

    /// The group does not take the member.
    pub(super) fn refused(error: v1::Error) -> Self {
        Self { commits: false, ..Self::new(false, false, Err(error)) }
    }

    /// The client is gone, or its broker stops: the member stays in its group, to be gone on with.
    pub(super) fn gone(stopping: bool) -> Self {
        let stopped = || status::error(ErrorCode::LeaderNotAvailable, "the broker is shutting down; resume at another");
        Self { farewells: 1, ..Self::new(false, false, if stopping { Err(stopped()) } else { Ok(()) }) }
    }
}

impl Member {
    /// Begins to end, unless it has begun already.
    pub(super) fn end(&mut self, mut ending: Ending) {
        let has_joined = match self.phase {
            Phase::Joining => {
                // Nobody knows the new member's id, so nobody could go on with it.
                ending.leaves |= self.held.is_none();
                false
            }
            Phase::Joined => true,
            Phase::Ending(_) | Phase::Ended => return,
        };
        let automatic = self.settings.auto_commit_interval.is_some();
        if !ending.commits {
            self.fail_commits(ErrorCode::UnknownMemberId);
        } else if has_joined && automatic {
            self.commit_processed();
        }
        self.phase = Phase::Ending(ending);
    }

    /// The heartbeat by which the member leaves its group, if it does.
    pub(super) fn farewell(&mut self) -> Option<(Asked, Request)> {
        let is_static = self.settings.instance_id.is_some();
        // One that was fenced is known until it has left.
        let is_member = self.epoch > 0 || self.farewells > 0;
        let Phase::Ending(ending) = &mut self.phase else { return None };
        if !is_member || !(ending.leaves || is_static) || ending.farewells == 0 {
            return None;
        }
        ending.farewells -= 1;
        Some(self.leave())
    }

    /// The heartbeat by which a member that was fenced leaves before it joins as another.
    pub(super) fn farewell_before_joining(&mut self) -> Option<(Asked, Request)> {
        self.farewells = self.farewells.checked_sub(1)?;
        Some(self.leave())
    }

    fn leave(&self) -> (Asked, Request) {
        // A static member keeps its place for as long as its session lasts, and may take it up again at once.
        let epoch = if self.settings.instance_id.is_some() { LEAVES_FOR_A_WHILE } else { LEAVES };
        (Asked::Leave, Request::ConsumerGroupHeartbeat(self.bare_heartbeat(epoch)))
    }

    /// The coordinator has answered a farewell, or has not.
    pub(super) fn said_farewell(&mut self, answer: &Result<Response, Refusal>, world: &mut World<'_>) {
        let told = match answer {
            Ok(Response::ConsumerGroupHeartbeat(answer)) if !answer.error.is_retriable() => Some(answer.error),
            _ => None,
        };
        match (&self.phase, told) {
            (Phase::Joining, Some(ErrorCode::FencedInstanceId)) => {
                self.farewells = 0;
                self.end(Ending::replaced());
            }
            (Phase::Joining, Some(_)) => self.become_another(world),
            (Phase::Joining, None) => {
                self.hold_back(world.now);
                if self.farewells == 0 {
                    self.become_another(world);
                }
            }
            (_, Some(_)) => (self.epoch, self.farewells) = (0, 0),
            (_, None) => self.hold_back(world.now),
        }
    }

    /// Ends the stream.
    pub(super) fn finish(&mut self) {
        let Phase::Ending(ending) = std::mem::replace(&mut self.phase, Phase::Ended) else { return };
        self.fail_commits(ErrorCode::UnknownMemberId);
        if ending.tells {
            self.tell(Told::Left(v1::SubscriptionLeft { error: ending.result.clone().err() }));
        }
        self.effects.push(Effect::End(ending.result));
    }
}
