//! hitbox, as a careful user sets it up: GET and 200 only, method, path and query in the key, one
//! caller at a time per key, values in its binary format instead of JSON, the default.

use axum::{
    Router,
    http::{Method, StatusCode},
};
use hitbox::{
    Config,
    concurrency::BroadcastConcurrencyManager,
    policy::{ConcurrencyLimit, PolicyConfig},
};
use hitbox_backend::format::BincodeFormat;
use hitbox_http::{
    extractors::{
        self,
        path::PathExtractor,
        query::{NameSelector, Query, ValueExtractor},
    },
    predicates::{request, response},
};
use hitbox_moka::MokaBackend;
use hitbox_tower::Cache;

use super::TTL;
use crate::support::drive::{Driver, Subject, serve};

pub(crate) const SUBJECT: Subject = Subject { name: "hitbox, binary values", build };

fn build(app: Router, entries: u32) -> Box<dyn Driver> {
    let key = Query::new_with(
        extractors::Method::new().path("/{path:.*}"),
        NameSelector::Starts(String::new()),
        ValueExtractor::Full,
        Vec::new(),
    );
    let one = ConcurrencyLimit::new(1).expect("more than none");
    let config = Config::builder()
        .request_predicate(request::Method::new(Method::GET).expect("a method"))
        .response_predicate(response::StatusCode::new(StatusCode::OK))
        .extractor(key)
        .policy(PolicyConfig::builder().ttl(TTL).concurrency(one).build())
        .build();
    let layer = Cache::builder()
        .backend(MokaBackend::builder().max_entries(entries.into()).value_format(BincodeFormat).build())
        .config(config)
        .concurrency_manager(BroadcastConcurrencyManager::new())
        .build();
    serve(app.layer(layer))
}
