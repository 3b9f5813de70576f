//! `compare_and_set`.

use super::{answer, holds, is, key, read, set, supported};
use crate::{backend::Backend, value::Value};

/// `compare_and_set` stores only over bytes that begin with the token, and never where nothing is.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{MemoryBackend, testing::conformance::tokens};
///
/// tokens::stores_only_over_the_token(&MemoryBackend::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the backend breaks the rule. `Unsupported` is allowed.
pub async fn stores_only_over_the_token(backend: &dyn Backend) {
    let key = key("slot");
    set(backend, &key, "lease:1234", None).await;
    let swap = |token: &'static str| backend.compare_and_set(&key, token.as_bytes(), Value::from_bytes("entry"), None);

    let Some(stored) = supported("compare_and_set", swap("lease:9").await) else {
        holds("an operation that is not supported changes nothing", is(backend, &key, "lease:1234").await);
        return;
    };
    holds("`compare_and_set` over another token is `false`", !stored);
    let longer = answer("compare_and_set", swap("lease:1234 and more").await);
    holds("a token that is longer than the value is not its beginning", !longer);
    holds("a refused `compare_and_set` changes nothing", is(backend, &key, "lease:1234").await);

    holds("`compare_and_set` over its token is `true`", answer("compare_and_set", swap("lease:12").await));
    holds("`compare_and_set` over its token stores", is(backend, &key, "entry").await);

    answer("delete", backend.delete(&key).await);
    let stored = answer("compare_and_set", swap("").await) || answer("compare_and_set", swap("entry").await);
    holds("what is absent begins with no token, not with the empty one either", !stored);
    holds("a refused `compare_and_set` stores nothing", read(backend, &key).await.is_none());
}
