//! An origin that a test holds in its hand: it sees each run begin, and lets it end when it says so.

use std::{future::Future, io};

use axum::{body::Body, response::Response};
use axum_caching::{BodyError, CacheBody};
use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tower::{Service, ServiceExt, service_fn, util::BoxCloneSyncService};

/// The error that a held origin can be told to fail with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

pub type Origin = BoxCloneSyncService<Request<Body>, Response, Broken>;

/// One run of the origin, waiting for what it is to answer.
pub struct Run {
    pub request: Request<()>,
    answer: oneshot::Sender<Result<Response, Broken>>,
}

impl Run {
    pub fn answer(self, response: impl axum::response::IntoResponse) {
        // The caller may be gone; then nobody is interested.
        let _ = self.answer.send(Ok(response.into_response()));
    }

    pub fn fail(self) {
        let _ = self.answer.send(Err(Broken));
    }

    /// Fails with a status.
    pub fn fail_softly(self) {
        self.answer(http::StatusCode::BAD_GATEWAY);
    }

    /// Makes the origin panic.
    pub fn panic(self) {
        drop(self.answer);
    }
}

/// The runs of an origin, in the order in which they began.
pub struct Runs(mpsc::UnboundedReceiver<Run>);

impl Runs {
    /// The next run, as soon as it begins.
    pub async fn next(&mut self) -> Run {
        self.0.recv().await.expect("the origin is alive")
    }

    /// Whether no other run has begun by the time that everything has come to rest.
    pub async fn is_quiet(&mut self) -> bool {
        settle().await;
        self.0.is_empty()
    }

    /// How many runs wait for an answer.
    pub async fn waiting(&mut self) -> usize {
        settle().await;
        self.0.len()
    }
}

pub fn origin() -> (Origin, Runs) {
    let (begin, runs) = mpsc::unbounded_channel();
    let service = service_fn(move |request: Request<Body>| {
        let (answer, answered) = oneshot::channel();
        let run = Run { request: request.map(drop), answer };
        // A test that is over does not look any more.
        let _ = begin.send(run);
        async move { answered.await.expect("told to panic") }
    });
    (BoxCloneSyncService::new(service), Runs(runs))
}

/// Sends a request in a task of its own.
pub fn spawn<S, B>(service: &S, request: Request<Body>) -> JoinHandle<Result<http::Response<B>, S::Error>>
where
    S: Service<Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
{
    tokio::spawn(service.clone().oneshot(request))
}

/// Lets every task run until it waits. On one thread each yield goes once around all of them.
pub async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The body of a response of any kind, as a text.
pub async fn body<B>(response: http::Response<B>) -> String
where
    B: http_body::Body,
    B::Error: std::fmt::Debug,
{
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Polls a future once, and drops it if it is not ready.
pub async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

/// The other end of a streamed body.
pub type Frames = mpsc::UnboundedSender<io::Result<Frame<Bytes>>>;

/// A response whose body a test writes piece by piece.
pub fn streamed(fields: &[(&str, &str)]) -> (Response, Frames) {
    let (frames, stream) = mpsc::unbounded_channel();
    let mut response = Response::builder();
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    let body = Body::new(StreamBody::new(UnboundedReceiverStream::new(stream)));
    (response.body(body).unwrap(), frames)
}

/// Sends one chunk.
pub fn write(frames: &Frames, text: &'static str) {
    frames.send(Ok(Frame::data(Bytes::from_static(text.as_bytes())))).unwrap();
}

/// The next chunk that a client sees.
pub async fn chunk<B>(response: &mut http::Response<CacheBody<B>>) -> Option<Result<Bytes, BodyError<B::Error>>>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let frame = response.body_mut().frame().await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}
