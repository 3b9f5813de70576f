//! The counter of runs that the kit has.

use axum_caching::testing::Calls;
use tokio::task::yield_now;

#[tokio::test]
async fn runs_are_counted_from_one_by_all_handles() {
    let calls = Calls::default();
    assert_eq!((calls.count(), calls.next(), calls.clone().pass().await, calls.count()), (0, 1, 2, 2));
}

#[tokio::test]
async fn runs_that_are_held_back_wait_and_are_counted_all_the_same() {
    let calls = Calls::default();
    calls.hold();
    let runs: Vec<_> = (0..3)
        .map(|_| {
            let calls = calls.clone();
            tokio::spawn(async move { calls.pass().await })
        })
        .collect();
    calls.reached(3).await;
    yield_now().await;
    assert!(runs.iter().all(|run| !run.is_finished()));
    assert_eq!(calls.next(), 4, "this one is never held");

    calls.release();
    let mut numbers = Vec::new();
    for run in runs {
        numbers.push(run.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(calls.pass().await, 5);
}
