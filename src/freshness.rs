//! May a record be used? The only place that compares a time of a record with a bound.

use crate::record::Meta;

/// A record from further in the future than this, in milliseconds, is not trusted: a clock was wrong.
const SKEW: u64 = 60_000;

/// What to do with a record that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Serve it.
    Fresh {
        /// Milliseconds since the origin made it.
        age: u64,
        /// Milliseconds until it is stale; `None` if it never is.
        left: Option<u64>,
    },
    /// Run the origin.
    Miss(Why),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Expired,
    /// Its namespace was cleared after the fill began.
    Cleared,
    /// It was made in the future.
    Skewed,
}

/// Decides on one reading of the clock. `namespace` is the stamp that the namespace has now.
#[inline]
pub(crate) fn decide(now: u64, namespace: u64, meta: &Meta) -> Decision {
    // A record that came from bytes has no stamp of this process: clearing removed it physically.
    if meta.namespace != namespace && meta.namespace != 0 {
        return Decision::Miss(Why::Cleared);
    }
    if now >= meta.fresh_until {
        return Decision::Miss(Why::Expired);
    }
    if meta.created > now.saturating_add(SKEW) {
        return Decision::Miss(Why::Skewed);
    }
    let left = (meta.fresh_until != u64::MAX).then(|| meta.fresh_until - now);
    Decision::Fresh { age: now.saturating_sub(meta.created), left }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(created: u64, fresh_until: u64, namespace: u64) -> Meta {
        Meta {
            created,
            fresh_until,
            stale_until: fresh_until,
            error_until: fresh_until,
            nonce: 1,
            took: 0,
            digested: None,
            carried: Box::default(),
            namespace,
        }
    }

    #[test]
    fn a_record_is_fresh_until_its_bound_and_not_at_it() {
        assert_eq!(decide(1_999, 1, &meta(1_000, 2_000, 1)), Decision::Fresh { age: 999, left: Some(1) });
        assert_eq!(decide(2_000, 1, &meta(1_000, 2_000, 1)), Decision::Miss(Why::Expired));
    }

    #[test]
    fn a_record_for_ever_never_expires() {
        assert_eq!(decide(u64::MAX - 1, 1, &meta(0, u64::MAX, 1)), Decision::Fresh { age: u64::MAX - 1, left: None });
    }

    #[test]
    fn a_record_of_a_cleared_namespace_is_gone() {
        assert_eq!(decide(1_500, 2, &meta(1_000, 2_000, 1)), Decision::Miss(Why::Cleared));
    }

    #[test]
    fn a_clock_that_is_behind_by_less_than_a_minute_is_forgiven() {
        let made = 1_000_000;
        assert_eq!(
            decide(made - SKEW, 1, &meta(made, made * 2, 1)),
            Decision::Fresh { age: 0, left: Some(made + SKEW) }
        );
        assert_eq!(decide(made - SKEW - 1, 1, &meta(made, made * 2, 1)), Decision::Miss(Why::Skewed));
    }
}
