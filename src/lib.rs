//! Response caching and function memoization for axum and Tower.

pub mod codec;

#[cfg(feature = "axum")]
mod axum;
mod backend;
mod cache;
mod clock;
mod error;
mod fields;
mod flight;
mod freshness;
mod key;
mod layer;
mod observe;
mod policy;
mod reason;
mod record;
mod response;
mod stamps;
mod ttl;
mod value;

#[cfg(feature = "testing")]
pub mod testing;

pub use backend::{Backend, BackendFuture, NullBackend};
#[cfg(feature = "memory")]
pub use backend::{MemoryBackend, MemoryBackendBuilder};
pub use cache::{Cache, CacheBuilder};
pub use clock::Clock;
pub use codec::Codec;
pub use error::{BoxError, Error, ErrorKind, Result};
#[cfg(feature = "axum")]
pub use layer::{Around, AroundFuture, IntoMakeService};
pub use layer::{
    BodyError, BodyKeyedLayer, BodyKeyedService, BufferedBody, CacheBody, CacheLayer, CacheService, CacheStatus,
    Cookies, HitHeader, KeyPrefix, Query, ResponseFuture,
};
pub use observe::{CacheStats, Event, Observer};
pub use policy::CachePolicy;
pub use reason::{BypassReason, MissReason, NotStored};
pub use response::StoredResponse;
pub use ttl::Ttl;
pub use value::Value;
