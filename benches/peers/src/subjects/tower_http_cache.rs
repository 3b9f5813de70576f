//! tower-http-cache with its store in memory.
//!
//! It asks for a body that is `Sync`, which axum's is not, and its error is a boxed one, which a
//! `Router` does not take: both are adapted in the cheapest way there is.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    http::Response,
};
use http_body::{Frame, SizeHint};
use sync_wrapper::SyncWrapper;
use tower::{BoxError, ServiceBuilder};
use tower_http_cache::{backend::memory::InMemoryBackend, layer::CacheLayer};

use super::TTL;
use crate::support::drive::{Driver, Subject, serve};

pub(crate) const SUBJECT: Subject = Subject { name: "tower-http-cache", build };

fn build(app: Router, entries: u32) -> Box<dyn Driver> {
    let layer = CacheLayer::builder(InMemoryBackend::new(entries.into())).ttl(TTL).build();
    let stack = ServiceBuilder::new()
        .map_err(|error: BoxError| -> std::convert::Infallible { panic!("{error}") })
        .layer(layer)
        .map_response(|response: Response<Body>| response.map(SyncBody::new));
    serve(app.layer(stack))
}

/// An axum body that can be shared between threads.
struct SyncBody {
    hint: SizeHint,
    body: SyncWrapper<Body>,
}

impl SyncBody {
    fn new(body: Body) -> Self {
        Self { hint: body.size_hint(), body: SyncWrapper::new(body) }
    }
}

impl HttpBody for SyncBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(self.body.get_mut()).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
