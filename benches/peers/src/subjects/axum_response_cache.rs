//! axum-response-cache, as its README shows it. The map of `with_lifespan` has no bound.

use axum::Router;
use axum_response_cache::CacheLayer;

use super::TTL;
use crate::support::drive::{Driver, Subject, serve};

pub(crate) const SUBJECT: Subject = Subject { name: "axum-response-cache", build };

fn build(app: Router, _: u32) -> Box<dyn Driver> {
    serve(app.layer(CacheLayer::with_lifespan(TTL)))
}
