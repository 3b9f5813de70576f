//! A page behind a layer: one of two variants, each kept for as long as its handler says.

use std::{convert::Infallible, fmt, future::Future, pin::Pin, time::Duration};

use axum_caching::{Cache, CacheLayer, CachePolicy};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};

use crate::{
    nodes::{Failed, Node},
    rules::TTL,
    subjects::{Call, Subject},
};

type Body = Full<Bytes>;
type Running = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// What one call asks of the handler.
#[derive(Clone)]
struct Asked {
    node: Node,
    call: Call,
    since: u64,
}

#[derive(Clone)]
pub struct Page(CacheLayer);

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Page")
    }
}

impl Page {
    pub fn new(cache: &Cache) -> Self {
        Self(CacheLayer::new(cache).tags(["page"]))
    }

    pub async fn get(&self, node: Node, call: Call, since: u64) -> Result<String, Failed> {
        let asked = Asked { node, call, since };
        let handler = service_fn(move |_: Request<Body>| asked.clone().answer());
        let language = if call.subject == Subject::Page { "en" } else { "de" };
        let request = Request::get("/").header(header::ACCEPT_LANGUAGE, language).body(Body::default());
        let response = self.0.layer(handler).oneshot(request.expect("a request")).await;
        let response = response.unwrap_or_else(|never| match never {});
        if response.status() != StatusCode::OK {
            return Err(Failed);
        }
        let bytes = response.into_body().collect().await.map_err(|_| Failed)?.to_bytes();
        Ok(String::from_utf8(bytes.to_vec()).expect("it was made here"))
    }
}

impl Asked {
    fn answer(self) -> Running {
        let Self { node, call, since } = self;
        let ttl = Duration::from_millis(if call.is_short { TTL / 2 } else { TTL });
        Box::pin(async move {
            let made = node.run(call, since).await;
            let status = if made.is_ok() { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
            let mut response = Response::new(Body::from(made.unwrap_or_default()));
            *response.status_mut() = status;
            response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("accept-language"));
            response.extensions_mut().insert(CachePolicy::ttl(ttl));
            Ok(response)
        })
    }
}
