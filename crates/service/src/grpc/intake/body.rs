//! A request body whose framing is checked before anybody decodes it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use super::framing::{Framing, FramingError};
use super::{MessageLimit, refuse};

/// See the module above.
pub(super) struct CheckedBody<B> {
    inner: B,
    limit: MessageLimit,
    framing: Framing,
    is_over: bool,
}

impl<B> CheckedBody<B> {
    pub(super) fn new(inner: B, limit: MessageLimit) -> Self {
        Self { inner, limit, framing: Framing::new(limit.bytes), is_over: false }
    }

    fn refused(&mut self, error: FramingError) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.is_over = true;
        Poll::Ready(Some(Err(refuse(error, self.limit))))
    }
}

impl<B: Body<Data = Bytes, Error = Status> + Unpin> Body for CheckedBody<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        let checked = match &frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(piece) => self.framing.advance(piece),
                None => self.framing.end(),
            },
            Some(Err(_)) => Ok(()),
            None => self.framing.end(),
        };
        match checked {
            Ok(()) => Poll::Ready(frame),
            Err(error) => self.refused(error),
        }
    }

    fn is_end_stream(&self) -> bool {
        // The end is looked at too: it may come too early.
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
