//! A request body that takes its share of the budget as it arrives.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use super::{Budget, Share};

/// Waits for a share.
type Taking = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, Status>> + Send>>;

/// See the module above.
pub(super) struct MeteredBody<B> {
    inner: B,
    budget: Budget,
    share: Arc<Share>,
    /// A piece that has arrived and has no share yet.
    waiting: Option<(Bytes, Taking)>,
}

impl<B> MeteredBody<B> {
    pub(super) fn new(inner: B, budget: Budget, share: Arc<Share>) -> Self {
        Self { inner, budget, share, waiting: None }
    }
}

impl<B: Body<Data = Bytes, Error = Status> + Unpin> Body for MeteredBody<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.waiting.is_none() {
            let piece = match ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => piece,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            };
            // A piece is a frame, and a frame's length has 24 bits.
            let len = u32::try_from(piece.len()).unwrap_or(u32::MAX);
            match this.budget.try_take(len) {
                Some(permit) => {
                    this.share.add(permit);
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                None => this.waiting = Some((piece, Box::pin(this.budget.clone().take(len)))),
            }
        }
        let Some((piece, taking)) = &mut this.waiting else { return Poll::Ready(None) };
        let taken = ready!(taking.as_mut().poll(context));
        let piece = std::mem::take(piece);
        this.waiting = None;
        Poll::Ready(Some(taken.map(|permit| {
            this.share.add(permit);
            Frame::data(piece)
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use futures::FutureExt as _;
    use levada_proto::status;
    use levada_types::ErrorCode;

    use super::super::MIN_BUDGET;
    use super::*;

    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn body(budget: &Budget, pieces: &[usize]) -> (MeteredBody<Pieces>, Arc<Share>) {
        let share = Arc::new(Share::default());
        let pieces = pieces.iter().map(|&len| Bytes::from(vec![0; len])).collect();
        (MeteredBody::new(Pieces(pieces), budget.clone(), share.clone()), share)
    }

    async fn next(body: &mut MeteredBody<Pieces>) -> Option<Result<usize, Option<ErrorCode>>> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
        let len = |frame: Frame<Bytes>| frame.data_ref().map_or(0, Bytes::len);
        Some(frame.map(len).map_err(|status| status::code_of(&status)))
    }

    #[tokio::test]
    async fn a_piece_without_a_share_waits_until_another_is_given_back() {
        let budget = Budget::new(MIN_BUDGET, Duration::from_secs(3_600));
        let (mut first, share) = body(&budget, &[MIN_BUDGET - 10]);
        let (mut second, _) = body(&budget, &[5, 100]);
        assert_eq!(next(&mut first).await, Some(Ok(MIN_BUDGET - 10)));
        assert_eq!(next(&mut second).await, Some(Ok(5)));
        assert_eq!(next(&mut second).now_or_never(), None, "100 of the 5 that are left");
        share.give_back(200);
        assert_eq!(next(&mut second).await, Some(Ok(100)));
        assert_eq!(next(&mut second).await, None);
        assert_eq!(share.held(), MIN_BUDGET - 10 - 205);
    }

    #[tokio::test]
    async fn who_waits_too_long_is_refused_and_a_dropped_share_is_free_again() {
        let budget = Budget::new(MIN_BUDGET, Duration::ZERO);
        let (mut first, share) = body(&budget, &[MIN_BUDGET]);
        let (mut second, _) = body(&budget, &[1]);
        assert_eq!(next(&mut first).await, Some(Ok(MIN_BUDGET)));
        assert_eq!(next(&mut second).await, Some(Err(Some(ErrorCode::ThrottlingQuotaExceeded))));
        drop((first, share));
        let (mut third, _) = body(&budget, &[MIN_BUDGET]);
        assert_eq!(next(&mut third).await, Some(Ok(MIN_BUDGET)));
    }
}
