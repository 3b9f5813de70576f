//! What the documentation says of times, word by word and slowly, against what is done.
//!
//! Times are whole numbers without an end, and "never" is a word of its own.

use proptest::{option, prelude::*};

use super::*;

/// A bound of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    At(i128),
    Never,
}

use Bound::{At, Never};

impl Bound {
    fn of(until: u64) -> Self {
        if until == u64::MAX { Never } else { At(until.into()) }
    }

    fn is_ahead_of(self, now: i128) -> bool {
        match self {
            At(at) => now < at,
            Never => true,
        }
    }

    fn is_after(self, other: Self) -> bool {
        match (self, other) {
            (At(one), At(two)) => one > two,
            (Never, At(_)) => true,
            (_, Never) => false,
        }
    }
}

/// What a record says, in the terms of the documentation.
struct Said {
    made: i128,
    fresh: Bound,
    revalidates: Bound,
    rescues: Bound,
}

impl Said {
    fn by(meta: &Meta) -> Self {
        let [fresh, revalidates, rescues] = [meta.fresh_until, meta.stale_until, meta.error_until].map(Bound::of);
        Self { made: meta.created.into(), fresh, revalidates, rescues }
    }

    fn times(&self, now: i128) -> Times {
        let millis = |length: i128| u64::try_from(length.max(0)).expect("between two times");
        Times {
            age: millis(now - self.made),
            left: match self.fresh {
                At(end) => Some(millis(end - now)),
                Never => None,
            },
            over: match self.fresh {
                At(end) => millis(now - end),
                Never => 0,
            },
        }
    }

    fn stale(&self, now: i128, has_failed: bool) -> Decision {
        let (revalidates, rescues) = (self.revalidates.is_ahead_of(now), self.rescues.is_ahead_of(now));
        if !revalidates && !rescues {
            return Decision::Miss(Why::Expired);
        }
        if has_failed {
            return Decision::Spared;
        }
        if revalidates { Decision::Stale } else { Decision::Fallback }
    }

    fn decided(&self, now: i128, is_cleared: bool, has_failed: bool) -> Decision {
        if is_cleared {
            return Decision::Miss(Why::Cleared);
        }
        if self.made - now > 60_000 {
            return Decision::Miss(Why::Skewed);
        }
        if self.fresh.is_ahead_of(now) {
            return Decision::Fresh;
        }
        self.stale(now, has_failed)
    }

    /// A window that does not end after the ttl is none.
    fn decided_marked(&self, now: i128, has_failed: bool) -> Decision {
        let window = |until: Bound| if until.is_after(self.fresh) { until } else { At(0) };
        let windows = Self { revalidates: window(self.revalidates), rescues: window(self.rescues), ..*self };
        windows.stale(now, has_failed)
    }

    /// Where a window ends that begins at a mark.
    fn marked(&self, now: i128, until: Bound) -> Bound {
        match (self.fresh, until) {
            (Never, _) => At(now),
            (At(_), Never) => Never,
            (At(fresh), At(until)) => {
                let end = now + (until - fresh).max(0);
                // What does not fit is never.
                if end < i128::from(u64::MAX) { At(end) } else { Never }
            }
        }
    }
}

/// Times near each other, so that bounds are met, and the least and the greatest there are. The greatest is no reading
/// of a clock: it is "never".
fn reading() -> impl Strategy<Value = u64> {
    let base = 1_000_000;
    prop_oneof![
        8 => base..base + 8,
        2 => base + SKEW - 3..base + SKEW + 8,
        2 => 0..8_u64,
        1 => SKEW - 3..SKEW + 3,
        2 => u64::MAX - 4..u64::MAX,
        1 => u64::MAX - SKEW - 4..u64::MAX - SKEW + 4,
        1 => 0..u64::MAX,
    ]
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![8 => reading(), 1 => Just(u64::MAX)]
}

/// A record that is fresh, and a reading of the clock before its end.
fn fresh() -> impl Strategy<Value = (u64, Meta)> {
    (reading(), record()).prop_map(|(now, meta)| match meta.fresh_until {
        until if now < until => (now, meta),
        until => {
            let later = now.max(until + 1);
            (until, Meta { fresh_until: later, ..meta })
        }
    })
}

prop_compose! {
    fn record()(
        created in reading(),
        [fresh_until, stale_until, error_until] in [time(), time(), time()],
        took in prop_oneof![Just(0), 1..10_u32, any::<u32>()],
        namespace in 0..3_u64,
    ) -> Meta {
        let (digested, carried) = (None, Box::default());
        Meta { created, fresh_until, stale_until, error_until, nonce: 1, took, digested, carried, namespace }
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Whether the origin has failed, and how often that was asked.
fn answering(has_failed: bool, asked: &mut u32) -> impl FnOnce() -> bool {
    move || {
        *asked += 1;
        has_failed
    }
}

/// Only what there is something stale of needs to know.
fn asks(decision: Decision) -> u32 {
    u32::from(matches!(decision, Decision::Stale | Decision::Spared | Decision::Fallback))
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn a_decision_is_what_the_documentation_says(
        now in reading(), namespace in 1..3_u64, has_failed: bool, meta in record(),
    ) {
        // Bytes have no stamp of this process.
        let is_cleared = meta.namespace != 0 && meta.namespace != namespace;
        let expected = Said::by(&meta).decided(now.into(), is_cleared, has_failed);
        let mut asked = 0;
        prop_assert_eq!(decide(now, namespace, &meta, answering(has_failed, &mut asked)), expected);
        prop_assert_eq!(asked, asks(expected));
    }

    #[test]
    fn a_decision_about_what_is_marked_is_what_the_documentation_says(
        now in reading(), has_failed: bool, meta in record(),
    ) {
        let expected = Said::by(&meta).decided_marked(now.into(), has_failed);
        let mut asked = 0;
        prop_assert_eq!(decide_marked(now, &meta, answering(has_failed, &mut asked)), expected);
        prop_assert_eq!(asked, asks(expected));
    }

    #[test]
    fn the_times_are_what_the_documentation_says(now in reading(), meta in record()) {
        let said = Said::by(&meta);
        prop_assert_eq!(times(now, &meta), said.times(now.into()));
    }

    #[test]
    fn a_mark_is_what_the_documentation_says(now in reading(), meta in record()) {
        let said = Said::by(&meta);
        let mut marked = meta.clone();
        mark(now, &mut marked);
        let at = i128::from(now);
        let [fresh, revalidates, rescues] = if said.fresh.is_ahead_of(at) {
            [At(at), said.marked(at, said.revalidates), said.marked(at, said.rescues)]
        } else {
            [said.fresh, said.revalidates, said.rescues]
        };
        // What has no window has none after a mark, and is known by that.
        let revalidates = if said.revalidates.is_after(said.fresh) { revalidates } else { At(0) };
        let ends = [fresh, revalidates, rescues];
        prop_assert_eq!([marked.fresh_until, marked.stale_until, marked.error_until].map(Bound::of), ends);
    }

    #[test]
    fn an_end_is_the_last_of_all_bounds(now in reading(), keep in option::of(time()), meta in record()) {
        let keep = keep.map(Duration::from_millis).unwrap_or_default();
        let said = Said::by(&meta);
        let kept = match said.fresh {
            At(fresh) => match fresh + i128::try_from(keep.as_millis()).expect("it fits") {
                end if end < i128::from(u64::MAX) => At(end),
                _ => Never,
            },
            Never => Never,
        };
        let ends = [said.fresh, said.revalidates, said.rescues, kept];
        let last = ends.into_iter().fold(At(0), |last, end| if end.is_after(last) { end } else { last });
        let expected = match last {
            Never => Some(None),
            At(end) if end > now.into() => {
                let millis = u64::try_from(end - i128::from(now)).expect("between two times");
                Some(Some(Duration::from_millis(millis)))
            }
            At(_) => None,
        };
        prop_assert_eq!(left(now, &meta, keep), expected);
    }

    #[test]
    fn an_entry_is_due_after_its_part_and_not_before((now, meta) in fresh(), eighths in 1..8_u8) {
        let early = Early { part: Some(f64::from(eighths) / 8.0), beta: None };
        let expected = match Said::by(&meta) {
            Said { fresh: Never, .. } => Some(false),
            Said { fresh: At(end), made, .. } => {
                // In eighths of a millisecond. What is due at this very time may be a rounding error away from it.
                let (passed, part) = ((i128::from(now) - made) * 8, (end - made).max(0) * i128::from(eighths));
                let is_near = (passed - part).abs() <= (end - made).abs() >> 40;
                (!is_near).then_some(passed > part)
            }
        };
        let due = is_due(now, &meta, early, || unreachable!("no chance in it"));
        prop_assert!(expected.is_none_or(|expected| due == expected), "{due}, expected {expected:?}");
    }

    #[test]
    fn early_expiration_is_as_likely_as_xfetch_says(
        (now, meta) in fresh(), beta in 0.01..10.0, draw in 0.0..1.0,
    ) {
        let early = Early { part: None, beta: Some(beta) };
        let due = is_due(now, &meta, early, || draw);
        let chance = match Said::by(&meta).fresh {
            At(end) if meta.took > 0 => {
                #[expect(clippy::cast_precision_loss, reason = "a model with a tolerance")]
                let left = (end - i128::from(now)) as f64;
                (-left / (f64::from(meta.took) * beta)).exp()
            }
            _ => 0.0,
        };
        let is_near = (draw - chance).abs() <= 1e-9;
        prop_assert!(is_near || due == (draw < chance), "{due} with {draw} of {chance}");
    }
}
