use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A state that can be waited for. Those who wait go on in the order in which they came, which `tokio::sync::watch`
/// does not promise.
#[derive(Debug, Default)]
pub(super) struct Watched<T> {
    state: Mutex<T>,
    changed: Notify,
}

impl<T: Copy> Watched<T> {
    pub(super) fn now(&self) -> T {
        *self.lock()
    }

    /// Changes the state, and gives what it is then.
    pub(super) fn change(&self, change: impl FnOnce(&mut T)) -> T {
        let mut state = self.lock();
        change(&mut state);
        let now = *state;
        drop(state);
        self.changed.notify_waiters();
        now
    }

    pub(super) async fn wait_until(&self, is_so: impl Fn(&T) -> bool) {
        loop {
            // Made before the look, so that no change after it is missed.
            let changed = self.changed.notified();
            if is_so(&self.now()) {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        // No code of others runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
