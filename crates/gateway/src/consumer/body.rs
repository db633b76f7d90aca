//! The body of a fetch response: frames as they come, then the status as trailers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::HeaderMap;
use http_body::{Body, Frame as HttpFrame};
use tonic::Status;

use super::frame::Frame;

/// Streams [`Frame`]s and ends with a gRPC status.
pub(super) struct FetchBody<S> {
    frames: S,
    /// The second piece of the frame whose head was sent last.
    payload: Bytes,
    ended: bool,
}

impl<S> FetchBody<S> {
    pub(super) fn new(frames: S) -> Self {
        Self { frames, payload: Bytes::new(), ended: false }
    }
}

impl<S: Stream<Item = Result<Frame, Status>> + Unpin> Body for FetchBody<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<HttpFrame<Bytes>, Infallible>>> {
        if !self.payload.is_empty() {
            return Poll::Ready(Some(Ok(HttpFrame::data(std::mem::take(&mut self.payload)))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        self.frames.poll_next_unpin(context).map(|next| {
            let status = match next {
                Some(Ok(frame)) => {
                    self.payload = frame.payload;
                    return Some(Ok(HttpFrame::data(frame.head)));
                }
                Some(Err(status)) => status,
                None => Status::ok(""),
            };
            self.ended = true;
            Some(Ok(HttpFrame::trailers(trailers(&status))))
        })
    }
}

/// The trailers that bear `status`.
fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // A message that no header can hold; the code alone is still true.
        trailers.insert("grpc-status", (status.code() as i32).into());
    }
    trailers
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    async fn frames(frames: impl Stream<Item = Result<Frame, Status>> + Unpin) -> Vec<HttpFrame<Bytes>> {
        let mut body = FetchBody::new(frames);
        let mut sent = Vec::new();
        while let Some(Ok(frame)) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            sent.push(frame);
        }
        sent
    }

    #[tokio::test]
    async fn pieces_come_in_order_and_the_status_last() {
        let frame = |head, payload| Frame { head: Bytes::from_static(head), payload: Bytes::from_static(payload) };
        let source = [Ok(frame(b"h1", b"p1")), Ok(frame(b"h2", b"")), Err(Status::out_of_range("gone"))];
        let sent = frames(stream::iter(source)).await;
        let data: Vec<_> = sent.iter().filter_map(|frame| frame.data_ref().cloned()).collect();
        assert_eq!(data, ["h1", "p1", "h2"]);
        let trailers = sent.last().and_then(|frame| frame.trailers_ref()).expect("trailers end it");
        assert_eq!(trailers["grpc-status"], "11");
        assert_eq!(trailers["grpc-message"], "gone");
        assert_eq!(sent.len(), 4);
    }

    #[tokio::test]
    async fn an_end_without_error_is_ok() {
        let sent = frames(stream::empty::<Result<Frame, Status>>()).await;
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].trailers_ref().expect("only trailers")["grpc-status"], "0");
    }
}
