//! All groups of one shard.

use std::sync::Arc;

use levada_shard::{Context, Core, Output, Replayed, Token};
use levada_types::{ErrorCode, TimestampMs};

use crate::{
    GroupConfig,
    api::{Request, Response},
};

/// All groups of one shard: what the records of one partition of `__consumer_offsets` add up to, and what is soft beside
/// it (sessions, joins that wait). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Groups {
    config: Arc<GroupConfig>,
}

impl Groups {
    /// A shard without records.
    #[must_use]
    pub fn new(config: Arc<GroupConfig>) -> Self {
        Self { config }
    }
}

impl Core for Groups {
    type Request = Request;
    type Response = Response;

    fn replay(&mut self, replayed: Replayed<'_>) {
        let _ = (&self.config, replayed);
    }

    fn resume(&mut self, _context: &mut Context<'_>) -> Output<Response> {
        Output::nothing()
    }

    fn handle(&mut self, token: Token, _request: Request, _context: &mut Context<'_>) -> Output<Response> {
        Output::answer(token, Response::Failed(ErrorCode::CoordinatorNotAvailable))
    }

    fn tick(&mut self, _context: &mut Context<'_>) -> Output<Response> {
        Output::nothing()
    }

    fn next_deadline(&self) -> Option<TimestampMs> {
        None
    }
}
