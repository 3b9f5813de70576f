//! Which cryptography TLS uses.

use rustls::crypto::{CryptoProvider, ring};

/// rustls takes the provider of the process. One that the application has chosen stays; where none is, it is ring, which
/// needs no more than a C compiler. Left to itself rustls panics if the application's crates bring two.
pub(super) fn choose_provider() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else was first, then.
        drop(ring::default_provider().install_default());
    }
}
