//! May a record be used, and what for? The only place that compares a time of a record with a bound.

use std::time::Duration;

use crate::{
    profile::{Early, Windows},
    record::Meta,
    ttl::deadline,
};

/// A record from further in the future than this, in milliseconds, is not trusted: a clock was wrong.
const SKEW: u64 = 60_000;

/// What to do with a record that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Serve it.
    Fresh,
    /// Serve it, and make it anew in the background.
    Stale,
    /// Serve it, and leave the origin alone, which has failed lately.
    Spared,
    /// Run the origin, and serve it if that fails.
    Fallback,
    /// Run the origin.
    Miss(Why),
}

/// The times of a record on one reading of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// Milliseconds since the origin made it.
    pub(crate) age: u64,
    /// Milliseconds until it is stale, 0 if it is; `None` if it never will be.
    pub(crate) left: Option<u64>,
    /// Milliseconds since it is stale.
    pub(crate) over: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Expired,
    /// Its namespace was cleared after the fill began.
    Cleared,
    /// It was made in the future.
    Skewed,
}

/// Decides on one reading of the clock. `namespace` is the stamp that the namespace has now; `has_failed` says whether
/// the origin has, so lately that it is not to be asked, and is asked itself for what is stale only.
#[inline]
pub(crate) fn decide(now: u64, namespace: u64, meta: &Meta, has_failed: impl FnOnce() -> bool) -> Decision {
    if is_cleared(namespace, meta) {
        return Decision::Miss(Why::Cleared);
    }
    if meta.created > now.saturating_add(SKEW) {
        return Decision::Miss(Why::Skewed);
    }
    if now < meta.fresh_until {
        return Decision::Fresh;
    }
    stale(now < meta.stale_until, now < meta.error_until, has_failed)
}

/// As [`decide`], for a record of which something was marked stale that it depends on: it is stale before its time, and
/// of use only if it has windows at all.
pub(crate) fn decide_marked(now: u64, meta: &Meta, has_failed: impl FnOnce() -> bool) -> Decision {
    let has = |until: u64| until > meta.fresh_until && now < until;
    stale(has(meta.stale_until), has(meta.error_until), has_failed)
}

/// Ends the ttl of a record now, if it has not ended; its windows begin. One that is fresh for ever has none.
///
/// A window that was none is told from one that ends with the ttl: by that [`slides`] knows what was marked. On a node
/// whose clock is behind it is fresh for a while still, and its use there does not move its end.
pub(crate) fn mark(now: u64, meta: &mut Meta) {
    let revalidates = meta.stale_until > meta.fresh_until;
    if now < meta.fresh_until {
        let was = meta.fresh_until;
        let moved = |until: u64| match until {
            u64::MAX if was != u64::MAX => u64::MAX,
            until => now.saturating_add(until.saturating_sub(was)),
        };
        (meta.stale_until, meta.error_until) = (moved(meta.stale_until), moved(meta.error_until));
        meta.fresh_until = now;
    }
    if !revalidates {
        meta.stale_until = 0;
    }
}

/// Whether its namespace was cleared after the fill of a record began.
#[inline]
pub(crate) fn is_cleared(namespace: u64, meta: &Meta) -> bool {
    // A record that came from bytes has no stamp of this process: clearing removed it physically.
    meta.namespace != namespace && meta.namespace != 0
}

#[cold]
fn stale(revalidates: bool, rescues: bool, has_failed: impl FnOnce() -> bool) -> Decision {
    match (revalidates || rescues) && has_failed() {
        true => Decision::Spared,
        false if revalidates => Decision::Stale,
        false if rescues => Decision::Fallback,
        false => Decision::Miss(Why::Expired),
    }
}

/// Whether an entry that is fresh is to be made anew. `draw` is a number from 0 to 1, by chance.
///
/// By chance it is at `now + took · beta · -ln(draw) >= end`, as in `XFetch`.
pub(crate) fn is_due(now: u64, meta: &Meta, early: Early, draw: impl FnOnce() -> f64) -> bool {
    if meta.fresh_until == u64::MAX {
        return false;
    }
    let seconds = |millis| Duration::from_millis(millis).as_secs_f64();
    let left = seconds(meta.fresh_until.saturating_sub(now));
    let whole = seconds(meta.fresh_until.saturating_sub(meta.created));
    early.part.is_some_and(|part| whole - left >= whole * part)
        || early.beta.is_some_and(|beta| seconds(meta.took.into()) * beta * -draw().ln() >= left)
}

/// When a record is of no more use for anything.
pub(crate) fn end(meta: &Meta) -> u64 {
    meta.fresh_until.max(meta.stale_until).max(meta.error_until)
}

/// How long a record is of use from now on: `None` is not at all, `Some(None)` for ever. `keep` is for how long after
/// it was fresh it can be asked for.
#[expect(clippy::option_option, reason = "whether there is an end, and whether it is over, are two questions")]
pub(crate) fn left(now: u64, meta: &Meta, keep: Duration) -> Option<Option<Duration>> {
    match end(meta).max(deadline(meta.fresh_until, Some(keep))) {
        u64::MAX => Some(None),
        end => end.checked_sub(now).filter(|left| *left > 0).map(|left| Some(Duration::from_millis(left))),
    }
}

/// The new end of a record that was served at this time, if it is worth a write. A record that slides ends `idle`
/// after it was used last, and is good if its origin fails until its ttl ends: no use moves its end beyond that.
pub(crate) fn slid(now: u64, meta: &Meta, idle: Duration) -> Option<u64> {
    if meta.fresh_until == u64::MAX || !slides(meta) {
        return None;
    }
    let until = deadline(now.min(meta.fresh_until), Some(idle)).min(meta.error_until);
    let step = u64::try_from(idle.as_millis() / 4).unwrap_or(u64::MAX).max(1);
    (until >= meta.fresh_until.saturating_add(step) || (until == meta.error_until && until > meta.fresh_until))
        .then_some(until)
}

/// Moves the end of a record; `false` if it is there already, or if it does not slide.
pub(crate) fn slide(meta: &mut Meta, until: u64) -> bool {
    let until = until.min(meta.error_until);
    if until <= meta.fresh_until || !slides(meta) {
        return false;
    }
    (meta.fresh_until, meta.stale_until) = (until, until);
    true
}

/// Whether the end of a record can be moved: it is made anew after its end, and it was not [marked](mark).
fn slides(meta: &Meta) -> bool {
    meta.stale_until == meta.fresh_until
}

/// Whether a time is still to come.
#[inline]
pub(crate) fn is_ahead(now: u64, until: u64) -> bool {
    now < until
}

/// Not worked out with each decision: most answers name none of them.
pub(crate) fn times(now: u64, meta: &Meta) -> Times {
    let left = (meta.fresh_until != u64::MAX).then(|| meta.fresh_until.saturating_sub(now));
    Times { age: now.saturating_sub(meta.created), left, over: now.saturating_sub(meta.fresh_until) }
}

/// For how long after its ttl a record may be served.
pub(crate) fn windows(meta: &Meta) -> Windows {
    let window = |until: u64| Duration::from_millis(until.saturating_sub(meta.fresh_until));
    Windows { revalidate: window(meta.stale_until), error: window(meta.error_until), keep: Duration::ZERO }
}

#[cfg(test)]
mod model;

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

    fn decided(now: u64, namespace: u64, meta: &Meta) -> Decision {
        decide(now, namespace, meta, || false)
    }

    /// With the times that an answer names.
    fn told(now: u64, meta: &Meta, has_failed: bool) -> (Decision, Times) {
        (decide(now, meta.namespace, meta, || has_failed), times(now, meta))
    }

    #[test]
    fn what_slides_moves_by_a_quarter_at_least_and_never_beyond_its_ttl() {
        let idle = Duration::from_millis(100);
        // Fresh until 1100, and its ttl ends at 1500.
        let record = Meta { error_until: 1_500, ..meta(1_000, 1_100, 0) };
        let used = |now: u64, record: &Meta| slid(now, record, idle);
        assert_eq!((used(1_000, &record), used(1_024, &record)), (None, None), "not worth a write");
        assert_eq!((used(1_025, &record), used(1_099, &record)), (Some(1_125), Some(1_199)));
        let until = |until| Meta { fresh_until: until, stale_until: until, ..record.clone() };
        let late = until(1_480);
        assert_eq!(used(1_450, &late), Some(1_500));
        assert_eq!(used(1_490, &until(1_500)), None);
        assert_eq!(used(1_000, &until(u64::MAX)), None, "one that has no end");

        let mut moved = record;
        assert!(slide(&mut moved, 1_200) && !slide(&mut moved, 1_150) && slide(&mut moved, 9_000));
        assert_eq!((moved.fresh_until, moved.error_until), (1_500, 1_500));
    }

    #[test]
    fn what_was_marked_slides_no_more() {
        let idle = Duration::from_millis(100);
        let record = Meta { error_until: 1_500, ..meta(1_000, 1_100, 0) };
        // By a clock that is ahead; and by one to which it has ended already.
        for now in [1_050, 1_200] {
            let mut marked = record.clone();
            mark(now, &mut marked);
            let before = marked.clone();
            assert_eq!(slid(1_040, &marked, idle), None);
            assert!(!slide(&mut marked, 1_140));
            assert_eq!(marked, before);
        }
    }

    fn at(age: u64, left: u64) -> Times {
        Times { age, left: Some(left), over: 0 }
    }

    fn over(age: u64, over: u64) -> Times {
        Times { age, left: Some(0), over }
    }

    #[test]
    fn a_record_is_fresh_until_its_bound_and_not_at_it() {
        assert_eq!(told(1_999, &meta(1_000, 2_000, 1), false), (Decision::Fresh, at(999, 1)));
        assert_eq!(decided(2_000, 1, &meta(1_000, 2_000, 1)), Decision::Miss(Why::Expired));
    }

    #[test]
    fn a_record_for_ever_never_expires() {
        let times = Times { age: u64::MAX - 1, left: None, over: 0 };
        assert_eq!(told(u64::MAX - 1, &meta(0, u64::MAX, 1), false), (Decision::Fresh, times));
    }

    #[test]
    fn a_record_of_a_cleared_namespace_is_gone_also_as_a_fallback() {
        assert_eq!(decided(1_500, 2, &meta(1_000, 2_000, 1)), Decision::Miss(Why::Cleared));
        let kept = Meta { stale_until: 9_000, error_until: 9_000, ..meta(1_000, 2_000, 1) };
        assert_eq!(decide(2_500, 2, &kept, || true), Decision::Miss(Why::Cleared));
    }

    #[test]
    fn a_clock_that_is_behind_by_less_than_a_minute_is_forgiven() {
        let made = 1_000_000;
        assert_eq!(told(made - SKEW, &meta(made, made * 2, 1), false), (Decision::Fresh, at(0, made + SKEW)));
        assert_eq!(decided(made - SKEW - 1, 1, &meta(made, made * 2, 1)), Decision::Miss(Why::Skewed));
    }

    #[test]
    fn a_stale_record_is_for_revalidation_first_and_for_failures_after_that() {
        let meta = Meta { stale_until: 3_000, error_until: 5_000, ..meta(1_000, 2_000, 1) };
        assert_eq!(told(2_999, &meta, false), (Decision::Stale, over(1_999, 999)));
        assert_eq!(told(3_000, &meta, false), (Decision::Fallback, over(2_000, 1_000)));
        assert_eq!(told(4_999, &meta, false), (Decision::Fallback, over(3_999, 2_999)));
        assert_eq!(decided(5_000, 1, &meta), Decision::Miss(Why::Expired));
    }

    #[test]
    fn an_origin_that_failed_lately_is_spared_while_there_is_something_to_serve() {
        let meta = Meta { stale_until: 3_000, error_until: 5_000, ..meta(1_000, 2_000, 1) };
        for now in [2_000, 4_999] {
            assert_eq!(told(now, &meta, true), (Decision::Spared, over(now - 1_000, now - 2_000)));
        }
        assert_eq!(decide(5_000, 1, &meta, || true), Decision::Miss(Why::Expired));
        assert_eq!(decide(1_999, 1, &meta, || panic!("not asked")), Decision::Fresh);
    }

    #[test]
    fn a_mark_ends_the_ttl_and_lets_the_windows_begin_and_is_no_second_time() {
        let marked = |now, mut meta: Meta| {
            mark(now, &mut meta);
            [meta.fresh_until, meta.stale_until, meta.error_until]
        };
        let kept = Meta { stale_until: 3_000, error_until: 5_000, ..meta(1_000, 2_000, 1) };
        assert_eq!(marked(1_500, kept.clone()), [1_500, 2_500, 4_500]);
        assert_eq!(marked(2_000, kept.clone()), [2_000, 3_000, 5_000]);
        assert_eq!(marked(1_500, Meta { error_until: 2_000, ..kept }), [1_500, 2_500, 1_500]);
        assert_eq!(marked(1_500, meta(1_000, u64::MAX, 1)), [1_500, 0, 1_500]);
        let for_ever = Meta { error_until: u64::MAX, ..meta(1_000, 2_000, 1) };
        assert_eq!(marked(1_500, for_ever), [1_500, 0, u64::MAX], "a window that never ends does not end now");
    }

    #[test]
    fn an_entry_is_due_after_its_part_of_the_lifetime() {
        let early = Early { part: Some(0.8), beta: None };
        let meta = meta(1_000, 2_000, 1);
        assert!(!is_due(1_799, &meta, early, || 0.5));
        assert!(is_due(1_800, &meta, early, || 0.5));
        assert!(!is_due(u64::MAX - 1, &super::tests::meta(0, u64::MAX, 1), early, || 0.5));
    }

    #[test]
    fn early_expiration_comes_with_the_odds_of_xfetch() {
        let meta = Meta { took: 100, ..meta(1_000, 2_000, 1) };
        let early = Early { part: None, beta: Some(1.0) };
        // One making-time before the end a reader refreshes with a chance of 1/e.
        let chance = (-1.0_f64).exp();
        assert!(is_due(1_900, &meta, early, || chance - 0.001));
        assert!(!is_due(1_900, &meta, early, || chance + 0.001));
        assert!(!is_due(1_000, &meta, early, || 0.001), "too far from its end");
        assert!(is_due(1_000, &meta, early, || 0.0), "the one in infinitely many");
    }
}
