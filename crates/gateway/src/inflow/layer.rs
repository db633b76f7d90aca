//! Puts a metered body into the requests of a service.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use super::body::MeteredBody;
use super::{Budget, Share};

/// A service whose requests take their share of a budget. The handler finds the [`Share`] in the request's extensions.
#[derive(Debug, Clone)]
pub(crate) struct MeteredService<S> {
    inner: S,
    budget: Budget,
}

impl<S> MeteredService<S> {
    pub(crate) fn new(inner: S, budget: Budget) -> Self {
        Self { inner, budget }
    }
}

impl<S: NamedService> NamedService for MeteredService<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for MeteredService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let share = Arc::new(Share::default());
        let (mut head, body) = request.into_parts();
        head.extensions.insert(share.clone());
        let body = Body::new(MeteredBody::new(body, self.budget.clone(), share));
        self.inner.call(Request::from_parts(head, body))
    }
}
