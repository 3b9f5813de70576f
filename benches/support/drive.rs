//! Subjects, and the loop that sends requests through them.

use std::{fmt::Debug, future::poll_fn, hint::black_box, pin::pin};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    http::{Request, Response},
};
use tokio::{runtime::Runtime, task};
use tower_service::Service;

use super::scenario::Load;

/// One cache (or none) put in front of the application.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// Wraps the router; the number is how many entries the cache is to hold.
    pub(crate) build: fn(Router, u32) -> Box<dyn Driver>,
}

/// Makes and drops the requests without sending them: the part of the figures that is the harness.
pub(crate) const REQUEST: Subject = Subject { name: "request alone", build: |_, _| Box::new(RequestAlone) };

/// The application without a cache: what the others are compared with.
pub(crate) const BARE: Subject = Subject { name: "axum, no cache", build: |app, _| serve(app) };

/// A service whose type is erased once a batch, not once a request.
pub(crate) trait Driver {
    /// Sends the batch, one request after the other; returns the bytes of the bodies.
    fn run(&mut self, runtime: &Runtime, load: &Load) -> usize;

    /// Sends the batch at once and waits for all answers; returns the bytes of the bodies.
    fn run_at_once(&mut self, runtime: &Runtime, load: &Load) -> usize;
}

/// Makes a driver of a service.
pub(crate) fn drive<S, B>(service: S) -> Box<dyn Driver>
where
    S: Service<Request<Body>, Response = Response<B>, Future: Send, Error: Debug> + Clone + Send + 'static,
    B: HttpBody<Data = Bytes, Error: Debug> + Send + 'static,
{
    Box::new(Driven(service))
}

/// Makes a driver of a router, as `axum::serve` takes it: with the layers of its routes applied once.
/// A router that is called as it is applies them to each request.
pub(crate) fn serve(app: Router) -> Box<dyn Driver> {
    drive::<Router, _>(app.with_state(()))
}

struct Driven<S>(S);

impl<S, B> Driver for Driven<S>
where
    S: Service<Request<Body>, Response = Response<B>, Future: Send, Error: Debug> + Clone + Send + 'static,
    B: HttpBody<Data = Bytes, Error: Debug> + Send + 'static,
{
    fn run(&mut self, runtime: &Runtime, load: &Load) -> usize {
        runtime.block_on(async {
            let mut bytes = 0;
            for i in 0..load.count {
                bytes += exchange(&mut self.0, load.request(i)).await;
                if load.yields {
                    task::yield_now().await;
                }
            }
            bytes
        })
    }

    fn run_at_once(&mut self, runtime: &Runtime, load: &Load) -> usize {
        runtime.block_on(async {
            let mut callers = task::JoinSet::new();
            for i in 0..load.count {
                let (mut service, request) = (self.0.clone(), load.request(i));
                callers.spawn(async move { exchange(&mut service, request).await });
            }
            callers.join_all().await.into_iter().sum()
        })
    }
}

/// Sends one request and reads its answer to the end.
async fn exchange<S, B>(service: &mut S, request: Request<Body>) -> usize
where
    S: Service<Request<Body>, Response = Response<B>, Error: Debug>,
    B: HttpBody<Data = Bytes, Error: Debug>,
{
    poll_fn(|cx| service.poll_ready(cx)).await.expect("a service that is ready");
    let response = service.call(request).await.expect("a response");
    assert!(response.status().is_success(), "{}", response.status());
    let mut body = pin!(response.into_body());
    let mut bytes = 0;
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        bytes += frame.expect("a whole body").data_ref().map_or(0, Bytes::len);
    }
    bytes
}

struct RequestAlone;

impl Driver for RequestAlone {
    fn run(&mut self, runtime: &Runtime, load: &Load) -> usize {
        runtime.block_on(async {
            for i in 0..load.count {
                drop(black_box(load.request(i)));
                if load.yields {
                    task::yield_now().await;
                }
            }
            0
        })
    }

    fn run_at_once(&mut self, runtime: &Runtime, load: &Load) -> usize {
        self.run(runtime, load)
    }
}
