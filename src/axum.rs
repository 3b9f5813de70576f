//! What axum adds: a policy as a part of a response, and the path that a nested router does not see.

use axum::{
    extract::{MatchedPath, NestedPath, OriginalUri},
    response::{IntoResponseParts, ResponseParts},
};
use http::{Extensions, Uri};

use crate::policy::CachePolicy;

impl IntoResponseParts for CachePolicy {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Self::Error> {
        response.extensions_mut().insert(self);
        Ok(response)
    }
}

/// Whether a router has stripped a prefix off the path.
pub(crate) fn is_nested(extensions: &Extensions) -> bool {
    extensions.get::<NestedPath>().is_some()
}

/// The target as it was on the wire, if a router has stripped a part of it.
#[inline]
pub(crate) fn original_uri(extensions: &Extensions) -> Option<&Uri> {
    extensions.get::<OriginalUri>().map(|original| &original.0)
}

/// The pattern of the route, as the router has it; `None` outside of routing.
pub(crate) fn matched_path(extensions: &Extensions) -> Option<&str> {
    extensions.get::<MatchedPath>().map(MatchedPath::as_str)
}
