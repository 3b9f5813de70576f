//! Many callers at once for a key that is not in the cache.

use std::time::{Duration, Instant};

use super::{
    app::{calls, slow_app},
    child::runtime,
    drive::Subject,
    scenario::Scenario,
};

const BODY: usize = 4096;
const DELAY: Duration = Duration::from_millis(50);

/// How often a handler of 50 ms runs for `callers` of one cold key, and how long all of it takes.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(crate) fn stampede(subject: &Subject, callers: u32) -> (f64, Duration) {
    let (runtime, scenario) = (runtime(), Scenario::hit("stampede").with_body(BODY));
    let mut driver = (subject.build)(slow_app(BODY, DELAY), scenario.capacity());
    let load = scenario.load(0..1, callers, false);
    let (before, start) = (calls(), Instant::now());
    let bytes = driver.run_at_once(&runtime, &load);
    let elapsed = start.elapsed();
    assert_eq!(bytes, BODY * load.count, "each caller is answered in full");
    let calls = u32::try_from(calls() - before).expect("at most one call a caller");
    (calls.into(), elapsed)
}
