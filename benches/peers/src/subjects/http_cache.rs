//! http-cache-tower-server with its moka manager.
//!
//! It keeps entries for at most an hour as it is; its default key leaves out the query, so
//! `QueryKeyer` is used.

use axum::Router;
use http_cache::MokaManager;
use http_cache_tower_server::{QueryKeyer, ServerCacheLayer};
use moka::future::Cache;
use tower::{BoxError, ServiceBuilder};

use crate::support::drive::{Driver, Subject, serve};

pub(crate) const SUBJECT: Subject = Subject { name: "http-cache-tower-server", build };

fn build(app: Router, entries: u32) -> Box<dyn Driver> {
    let layer = ServerCacheLayer::with_keyer(MokaManager::new(Cache::new(entries.into())), QueryKeyer);
    let stack =
        ServiceBuilder::new().map_err(|error: BoxError| -> std::convert::Infallible { panic!("{error}") }).layer(layer);
    serve(app.layer(stack))
}
