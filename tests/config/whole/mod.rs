//! With every backend that there is.

mod envelopes;
mod environment;
mod errors;
mod files;
mod secrets;
mod servers;
mod tables;
mod urls;
