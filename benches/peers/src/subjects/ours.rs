//! This crate, with its defaults: on a route, and around the router.

use axum::Router;
use axum_caching::{Cache, CacheLayer, MemoryBackend};

use super::TTL;
use crate::support::drive::{Driver, Subject, drive, serve};

pub(crate) const ROUTE: Subject = Subject { name: "axum-caching", build: on_a_route };
pub(crate) const AROUND: Subject = Subject { name: "axum-caching, around", build: around };

fn on_a_route(app: Router, entries: u32) -> Box<dyn Driver> {
    serve(app.layer(layer(entries)))
}

fn around(app: Router, entries: u32) -> Box<dyn Driver> {
    drive(layer(entries).around(app))
}

fn layer(entries: u32) -> CacheLayer {
    let backend = MemoryBackend::builder().max_entries(entries as usize).max_bytes(1 << 30).build();
    CacheLayer::new(&Cache::new(backend)).ttl(TTL)
}
