//! What is known of a connection without asking, and a task that asks where it is in doubt.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};

/// The shortest time between two looks, and the shortest that an answer to one has.
const SHORTEST: Duration = Duration::from_millis(10);

/// Callers read it and, but for the first one after each look, do not write to it: they are on many threads.
pub(super) struct Health {
    gone: AtomicBool,
    born: Instant,
    patience: Duration,
    /// Nothing was sent since the last look.
    idle: AtomicBool,
    /// Nothing was answered since the last look.
    silent: AtomicBool,
}

impl Health {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            gone: AtomicBool::new(false),
            born: Instant::now(),
            patience,
            idle: AtomicBool::new(true),
            silent: AtomicBool::new(true),
        }
    }

    pub(super) fn lost(&self) {
        self.gone.store(true, Ordering::Release);
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(super) fn age(&self) -> Duration {
        self.born.elapsed()
    }

    pub(super) fn sent(&self) {
        if self.idle.load(Ordering::Relaxed) {
            self.idle.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn answered(&self) {
        if self.silent.load(Ordering::Relaxed) {
            self.silent.store(false, Ordering::Relaxed);
        }
    }

    /// Looks now and then, and asks if something was sent a while ago and nothing came since. That alone says nothing:
    /// whoever sent it may have left before the answer, which nobody has heard then.
    ///
    /// A connection over which no answer comes to that either is lost, unless it is `young`. Whoever waits for something
    /// has waited for as long as the patience by then.
    async fn watch<Asking: Future<Output = ()>>(&self, young: Duration, ask: impl Fn() -> Asking) {
        let mut owes = false;
        loop {
            sleep((self.patience / 4).max(SHORTEST)).await;
            let (idle, silent) = (self.idle.swap(true, Ordering::Relaxed), self.silent.swap(true, Ordering::Relaxed));
            let doubtful = owes && silent;
            owes = silent && !idle;
            if doubtful && timeout((self.patience / 2).max(SHORTEST), ask()).await.is_err() && self.age() >= young {
                self.lost();
            }
        }
    }
}

/// A task that ends with its runtime, and the connection with it. Until then it watches it.
pub(super) struct Witness(AbortHandle);

impl Witness {
    /// `ask` asks for anything, and tells the health of what it is answered.
    pub(super) fn new<Asking>(health: &Arc<Health>, young: Duration, ask: impl Fn() -> Asking + Send + 'static) -> Self
    where
        Asking: Future<Output = ()> + Send,
    {
        let on_drop = OnDrop(Arc::clone(health));
        let task = tokio::spawn(async move {
            let on_drop = on_drop;
            on_drop.0.watch(young, ask).await;
        });
        Self(task.abort_handle())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct OnDrop(Arc<Health>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.lost();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        sync::atomic::AtomicUsize,
    };

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    #[test]
    fn a_connection_is_gone_with_its_runtime() {
        let health = Arc::new(Health::new(PATIENCE));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let witness = runtime.block_on(async { Witness::new(&health, Duration::ZERO, || ready(())) });
        assert!(!health.is_gone());
        drop(runtime);
        assert!(health.is_gone());
        drop(witness);
    }

    /// A connection that is watched, and how often it was asked.
    fn watched(answers: bool, young: Duration) -> (Arc<Health>, Arc<AtomicUsize>, Witness) {
        let health = Arc::new(Health::new(PATIENCE));
        let (asked, hears) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&health));
        let count = Arc::clone(&asked);
        let ask = move || {
            count.fetch_add(1, Ordering::Relaxed);
            let hears = Arc::clone(&hears);
            async move {
                if !answers {
                    pending::<()>().await;
                }
                hears.answered();
            }
        };
        let witness = Witness::new(&health, young, ask);
        (health, asked, witness)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_owes_an_answer_for_too_long_is_lost() {
        let (health, _, _witness) = watched(false, Duration::ZERO);
        sleep(PATIENCE * 10).await;
        assert!(!health.is_gone(), "nothing was asked of it");
        health.sent();
        sleep(PATIENCE * 3 / 4).await;
        assert!(!health.is_gone(), "not yet");
        sleep(PATIENCE * 3 / 4).await;
        assert!(health.is_gone());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_whose_caller_has_left_costs_a_question_and_no_connection() {
        let (health, asked, _witness) = watched(true, Duration::ZERO);
        health.sent();
        health.sent();
        sleep(PATIENCE * 10).await;
        assert!(!health.is_gone());
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_answers_is_not_asked() {
        let (health, asked, _witness) = watched(false, Duration::ZERO);
        for _ in 0..100 {
            health.sent();
            sleep(PATIENCE / 10).await;
            health.answered();
        }
        sleep(PATIENCE * 10).await;
        assert!(!health.is_gone());
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_young_is_given_time() {
        let (health, asked, _witness) = watched(false, PATIENCE * 10);
        for _ in 0..8 {
            health.sent();
            sleep(PATIENCE).await;
        }
        assert!(!health.is_gone() && asked.load(Ordering::Relaxed) > 1);
        for _ in 0..8 {
            health.sent();
            sleep(PATIENCE).await;
        }
        assert!(health.is_gone());
    }
}
