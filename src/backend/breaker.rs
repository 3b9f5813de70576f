//! When to leave a backend alone: a state machine without I/O and without a clock.

use std::time::Duration;

use crate::error::ErrorKind;

/// When a backend that fails is left alone, and for how long.
///
/// After so many failures in a row the breaker opens: the backend is not asked, reads are misses at once, and what
/// would change something is [`ErrorKind::Unavailable`]. After a while it is half open: one call at a time goes
/// through, as a probe, and its answer closes the breaker or opens it again.
///
/// While it is open nothing is stored, and callers of one key share a run of the origin as ever. A purge that another
/// process makes meanwhile is not seen here: those who wait may be given what was read before it.
///
/// A failure is an answer that did not come in time
/// ([`backend_timeout`](crate::CacheBuilder::backend_timeout)), or an error that is the backend's own fault. "Not
/// there" is none, nor is an error that the next caller need not get: [`TooLarge`](ErrorKind::TooLarge),
/// [`NotAnInteger`](ErrorKind::NotAnInteger), [`Unsupported`](ErrorKind::Unsupported), `Encode`, `Decode`, `Key`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use axum_caching::{Breaker, BreakerState, Cache, NullBackend};
///
/// let breaker = Breaker::default().failures(3).open_for(Duration::from_secs(30));
/// let cache = Cache::builder(NullBackend::default()).breaker(breaker).build();
/// assert_eq!(cache.breaker_state(), BreakerState::Closed);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "give it to `CacheBuilder::breaker`"]
pub struct Breaker {
    /// `None`: it never opens.
    failures: Option<u32>,
    open_for: Duration,
}

impl Breaker {
    /// A breaker that never opens: every call waits for the backend, up to its time-out. While a backend that is shared is
    /// away, callers of one key then run the origin one after the other.
    pub fn off() -> Self {
        Self { failures: None, ..Self::default() }
    }

    /// So many failures in a row open it: 5 by default, and at least 1.
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = Some(failures.max(1));
        self
    }

    /// So long it stays open before a probe: 5 seconds by default.
    pub fn open_for(mut self, open_for: Duration) -> Self {
        self.open_for = open_for;
        self
    }
}

impl Default for Breaker {
    /// Opens after 5 failures in a row, for 5 seconds.
    fn default() -> Self {
        Self { failures: Some(5), open_for: Duration::from_secs(5) }
    }
}

/// Whether a backend is asked: see [`Breaker`].
///
/// # Examples
///
/// ```
/// use axum_caching::{BreakerState, Cache, NullBackend};
///
/// assert_eq!(Cache::new(NullBackend::default()).breaker_state(), BreakerState::Closed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// It is.
    Closed,
    /// It is not.
    Open,
    /// One call at a time is let through, to see whether it answers again.
    HalfOpen,
}

impl BreakerState {
    /// A short name, as metrics have it.
    ///
    /// ```
    /// use axum_caching::BreakerState;
    ///
    /// assert_eq!(BreakerState::HalfOpen.as_str(), "half-open");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// Whether an error says that the backend is not well, and not that somebody asked for what cannot be.
pub(super) fn is_failure(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::Encode
            | ErrorKind::Decode
            | ErrorKind::TooLarge
            | ErrorKind::Key
            | ErrorKind::NotAnInteger
            | ErrorKind::Unsupported
            | ErrorKind::Config
    )
}

/// A breaker at work. It is told the time, as the time that has passed since some moment.
#[derive(Debug)]
pub(super) struct Circuit {
    breaker: Breaker,
    state: State,
    /// The number of those who may speak: what was let through before the last change says nothing any more.
    round: u64,
}

#[derive(Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        since: Duration,
    },
    HalfOpen {
        /// When the probe was let through, if there is one.
        probe: Option<Duration>,
    },
}

/// A call that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass(pub(super) u64);

impl Circuit {
    pub(super) fn new(breaker: Breaker) -> Self {
        Self { breaker, state: State::Closed { failures: 0 }, round: 0 }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// What lets calls through while it is closed and has counted no failure, which makes a success nothing new.
    pub(super) fn calm(&self) -> Option<Pass> {
        matches!(self.state, State::Closed { failures: 0 }).then_some(Pass(self.round))
    }

    /// Whether a call would be let through.
    pub(super) fn lets_through(&self, now: Duration) -> bool {
        match self.state {
            State::Closed { .. } | State::HalfOpen { probe: None } => true,
            // A probe that nobody heard of is not waited for longer than this.
            State::Open { since } | State::HalfOpen { probe: Some(since) } => self.is_over(since, now),
        }
    }

    /// Lets a call through, or does not.
    pub(super) fn ask(&mut self, now: Duration) -> Option<Pass> {
        if !self.lets_through(now) {
            return None;
        }
        if !matches!(self.state, State::Closed { .. }) {
            self.turn(State::HalfOpen { probe: Some(now) });
        }
        Some(Pass(self.round))
    }

    pub(super) fn succeeded(&mut self, pass: Pass) {
        if pass.0 != self.round {
            return;
        }
        match &mut self.state {
            State::Closed { failures } => *failures = 0,
            State::Open { .. } | State::HalfOpen { .. } => self.turn(State::Closed { failures: 0 }),
        }
    }

    pub(super) fn failed(&mut self, pass: Pass, now: Duration) {
        if pass.0 != self.round {
            return;
        }
        if let State::Closed { failures } = &mut self.state {
            *failures = failures.saturating_add(1);
            if self.breaker.failures.is_none_or(|limit| *failures < limit) {
                return;
            }
        }
        self.turn(State::Open { since: now });
    }

    /// Nobody waits for the answer any more: it says nothing, and the next call is the probe.
    pub(super) fn abandoned(&mut self, pass: Pass) {
        if pass.0 == self.round && matches!(self.state, State::HalfOpen { .. }) {
            self.turn(State::HalfOpen { probe: None });
        }
    }

    /// A clock that went back is no reason to leave the backend alone for longer.
    fn is_over(&self, since: Duration, now: Duration) -> bool {
        now.checked_sub(since).is_none_or(|passed| passed >= self.breaker.open_for)
    }

    fn turn(&mut self, state: State) {
        self.state = state;
        self.round += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Opens after 3 failures, for 10 seconds.
    fn circuit() -> Circuit {
        Circuit::new(Breaker::default().failures(3).open_for(at(10)))
    }

    fn fail(circuit: &mut Circuit, now: Duration) {
        let pass = circuit.ask(now).expect("let through");
        circuit.failed(pass, now);
    }

    fn succeed(circuit: &mut Circuit, now: Duration) {
        let pass = circuit.ask(now).expect("let through");
        circuit.succeeded(pass);
    }

    fn open_since(now: Duration) -> Circuit {
        let mut circuit = circuit();
        (0..3).for_each(|_| fail(&mut circuit, now));
        assert_eq!(circuit.state(), BreakerState::Open);
        circuit
    }

    #[test]
    fn so_many_failures_in_a_row_open_it_and_one_less_does_not() {
        let mut circuit = circuit();
        fail(&mut circuit, at(0));
        fail(&mut circuit, at(0));
        assert_eq!(circuit.state(), BreakerState::Closed);
        fail(&mut circuit, at(0));
        assert_eq!(circuit.state(), BreakerState::Open);
        assert_eq!(circuit.ask(at(9)), None);
    }

    #[test]
    fn a_success_between_failures_begins_the_count_anew() {
        let mut circuit = circuit();
        for _ in 0..10 {
            fail(&mut circuit, at(0));
            fail(&mut circuit, at(0));
            succeed(&mut circuit, at(0));
        }
        assert_eq!(circuit.state(), BreakerState::Closed);
    }

    #[test]
    fn what_was_let_through_at_once_counts_as_it_ends() {
        let mut circuit = circuit();
        let passes: Vec<_> = (0..10).map(|_| circuit.ask(at(0)).expect("closed")).collect();
        passes[..3].iter().for_each(|pass| circuit.failed(*pass, at(1)));
        assert_eq!(circuit.state(), BreakerState::Open);

        circuit.succeeded(passes[3]);
        assert_eq!(circuit.state(), BreakerState::Open, "what was sent before it opened says nothing");
        let probe = circuit.ask(at(11)).expect("half open");
        circuit.failed(passes[4], at(11));
        circuit.abandoned(passes[5]);
        assert_eq!(circuit.ask(at(11)), None, "there is still the one probe");
        circuit.succeeded(probe);
        assert_eq!(circuit.state(), BreakerState::Closed);
        passes[6..].iter().for_each(|pass| circuit.failed(*pass, at(12)));
        assert_eq!(circuit.state(), BreakerState::Closed);
    }

    #[test]
    fn of_a_thousand_callers_at_half_open_one_is_let_through() {
        let mut circuit = open_since(at(0));
        assert_eq!((0..1_000).filter_map(|_| circuit.ask(at(10))).count(), 1);
        assert_eq!(circuit.state(), BreakerState::HalfOpen);
    }

    #[test]
    fn a_probe_that_answers_closes_it() {
        let mut circuit = open_since(at(0));
        succeed(&mut circuit, at(10));
        assert_eq!(circuit.state(), BreakerState::Closed);
        fail(&mut circuit, at(10));
        fail(&mut circuit, at(10));
        assert_eq!(circuit.state(), BreakerState::Closed, "the count begins anew");
    }

    #[test]
    fn a_probe_that_fails_opens_it_for_as_long_again() {
        let mut circuit = open_since(at(0));
        fail(&mut circuit, at(10));
        assert_eq!(circuit.state(), BreakerState::Open);
        assert_eq!(circuit.ask(at(19)), None);
        assert!(circuit.ask(at(20)).is_some());
    }

    #[test]
    fn a_probe_whose_caller_goes_away_leaves_its_place_to_the_next_one() {
        let mut circuit = open_since(at(0));
        let gone = circuit.ask(at(10)).expect("half open");
        circuit.abandoned(gone);
        assert_eq!(circuit.state(), BreakerState::HalfOpen);
        let probe = circuit.ask(at(10)).expect("the next one");
        circuit.failed(gone, at(10));
        circuit.succeeded(gone);
        assert_eq!(circuit.state(), BreakerState::HalfOpen, "it has nothing to say any more");
        circuit.succeeded(probe);
        assert_eq!(circuit.state(), BreakerState::Closed);
    }

    #[test]
    fn a_probe_that_nobody_hears_of_is_not_waited_for_for_ever() {
        let mut circuit = open_since(at(0));
        let lost = circuit.ask(at(10)).expect("half open");
        assert_eq!(circuit.ask(at(19)), None);
        let next = circuit.ask(at(20)).expect("another one");
        circuit.failed(lost, at(20));
        assert_eq!(circuit.state(), BreakerState::HalfOpen);
        circuit.succeeded(next);
        assert_eq!(circuit.state(), BreakerState::Closed);
    }

    #[test]
    fn a_call_that_nobody_waits_for_says_nothing_while_it_is_closed() {
        let mut circuit = circuit();
        fail(&mut circuit, at(0));
        fail(&mut circuit, at(0));
        let gone = circuit.ask(at(0)).expect("closed");
        circuit.abandoned(gone);
        fail(&mut circuit, at(0));
        assert_eq!(circuit.state(), BreakerState::Open);
    }

    #[test]
    fn a_clock_that_jumps_lets_a_probe_through_and_nothing_worse() {
        let mut back = open_since(at(1_000));
        assert!(back.ask(at(1)).is_some());
        assert_eq!(back.ask(at(1)), None, "one of them");
        assert!(back.ask(at(0)).is_some());

        let mut ahead = open_since(at(0));
        assert!(ahead.ask(Duration::MAX).is_some());
        assert_eq!(ahead.ask(Duration::MAX), None);
        let mut probe = open_since(Duration::MAX);
        assert_eq!(probe.ask(Duration::MAX), None);
    }

    #[test]
    fn one_that_is_off_never_opens() {
        let mut circuit = Circuit::new(Breaker::off());
        (0..1_000).for_each(|_| fail(&mut circuit, at(0)));
        assert_eq!(circuit.state(), BreakerState::Closed);
    }

    #[test]
    fn a_breaker_of_no_failures_is_one_of_one() {
        let mut circuit = Circuit::new(Breaker::default().failures(0));
        succeed(&mut circuit, at(0));
        assert_eq!(circuit.state(), BreakerState::Closed);
        fail(&mut circuit, at(0));
        assert_eq!(circuit.state(), BreakerState::Open);
    }

    #[test]
    fn what_is_asked_wrongly_is_no_failure_of_the_backend() {
        use ErrorKind::{Connect, Decode, NotAnInteger, Other, Protocol, Timeout, TooLarge, Unavailable, Unsupported};
        assert!([Connect, Timeout, Protocol, Unavailable, Other].into_iter().all(is_failure));
        assert!(![TooLarge, NotAnInteger, Decode, Unsupported].into_iter().any(is_failure));
    }
}
