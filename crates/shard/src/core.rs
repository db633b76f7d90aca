//! The state machine.

use levada_types::TimestampMs;

use crate::{Context, Output, Replayed, Token};

/// A state machine that lives on one partition of an internal topic.
///
/// Its *hard* state is what replaying its own records gives, no more and no less. Its *soft* state (deadlines, requests
/// that wait for something) is lost when another process takes the shard over.
///
/// Cloning is cheap: the runtime keeps a copy from before each write that is under way, and goes back to it if the write is
/// refused.
pub trait Core: Clone + Send + 'static {
    /// What is asked of it.
    type Request: Send + 'static;
    /// What it answers.
    type Response: Send + 'static;

    /// Loading: one committed record or marker, in the order of offsets. A kind that it does not know is left out.
    fn replay(&mut self, replayed: Replayed<'_>);

    /// It has been loaded, or goes on with the state that it had: every session counts anew from now, so that nobody is thrown
    /// out for a time in which nobody was listened to. Requests that it holds still wait, or were answered with an error
    /// meanwhile; answering those again does no harm.
    fn resume(&mut self, context: &mut Context<'_>) -> Output<Self::Response>;

    /// What was decided last was refused, and this is the state from before it. Requests that it holds still wait for their
    /// answers; those that came later were answered with an error. Signs of life that came later are lost with them, so every
    /// session counts anew from now.
    fn set_back(&mut self, context: &mut Context<'_>) -> Output<Self::Response>;

    /// A request. The answer comes in this output or in a later one; a request is answered once.
    fn handle(&mut self, token: Token, request: Self::Request, context: &mut Context<'_>) -> Output<Self::Response>;

    /// Does what has become due, by the time or by the metadata.
    fn tick(&mut self, context: &mut Context<'_>) -> Output<Self::Response>;

    /// When [`Core::tick`] has something to do at the latest; `None` while nothing is due by time.
    fn next_deadline(&self) -> Option<TimestampMs>;
}
