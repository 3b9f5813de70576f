//! The backend whose troubles a test writes.
#![cfg(feature = "memory")]

use std::time::Duration;

use axum_caching::{
    Backend, Cache, ErrorKind, MemoryBackend, Ttl, Value,
    testing::{Chaos, Operation},
};
use tokio::{task::yield_now, time};

fn chaos() -> Chaos {
    Chaos::new(MemoryBackend::default())
}

async fn get(chaos: &Chaos) -> Result<Option<i64>, ErrorKind> {
    let value = chaos.get("key").await.map_err(|error| error.kind())?;
    Ok(value.and_then(|value| value.as_integer()))
}

async fn set(chaos: &Chaos, integer: i64) -> Result<(), ErrorKind> {
    chaos.set("key", Value::integer(integer), None).await.map_err(|error| error.kind())
}

/// Asks for each operation once.
async fn everything(chaos: &Chaos) -> Vec<Result<(), ErrorKind>> {
    let value = || Value::from_bytes("value");
    let answers = [
        chaos.get("a").await.map(drop),
        chaos.set("a", value(), None).await,
        chaos.add("a", value(), None).await.map(drop),
        chaos.delete("a").await.map(drop),
        chaos.increment("a", 1).await.map(drop),
        chaos.clear("").await,
        chaos.compare_and_set("a", b"", value(), None).await.map(drop),
        chaos.has("a").await.map(drop),
        chaos.get_many(&["a"]).await.map(drop),
        chaos.set_many(&[("a", value())], None).await,
        chaos.delete_many(&["a"]).await.map(drop),
    ];
    answers.into_iter().map(|answer| answer.map_err(|error| error.kind())).collect()
}

#[tokio::test]
async fn every_operation_can_fail_and_is_counted() {
    let chaos = chaos();
    chaos.on(Operation::ALL).fail(ErrorKind::Connect);
    let answers = everything(&chaos).await;
    assert_eq!(answers, [Err(ErrorKind::Connect); Operation::ALL.len()]);
    for operation in Operation::ALL {
        assert_eq!(chaos.calls(operation), 1, "{operation:?}");
    }
}

#[tokio::test]
async fn one_operation_fails_and_the_others_do_not() {
    for failing in Operation::ALL {
        let chaos = chaos();
        chaos.on(failing).fail(ErrorKind::Protocol);
        let failed = everything(&chaos).await.iter().filter(|answer| **answer == Err(ErrorKind::Protocol)).count();
        assert_eq!(failed, 1, "{failing:?}");
    }
}

#[tokio::test]
async fn troubles_of_the_next_calls_are_met_one_after_the_other() {
    let chaos = chaos();
    let first = chaos.on(Operation::Set).next(2).fail(ErrorKind::Connect);
    chaos.on(Operation::Set).next(1).fail(ErrorKind::Timeout);
    let answers = [set(&chaos, 1).await, set(&chaos, 2).await, set(&chaos, 3).await, set(&chaos, 4).await];
    assert_eq!(answers, [Err(ErrorKind::Connect), Err(ErrorKind::Connect), Err(ErrorKind::Timeout), Ok(())]);
    assert_eq!((first.met(), get(&chaos).await), (2, Ok(Some(4))));
}

#[tokio::test]
async fn a_trouble_of_one_in_some_calls_is_met_by_about_so_many_and_by_the_same_with_the_same_seed() {
    async fn failures(seed: u64) -> Vec<usize> {
        let chaos = chaos();
        chaos.on(Operation::Get).one_in(4, seed).fail(ErrorKind::Connect);
        let mut failed = Vec::new();
        for call in 0..1_000 {
            if get(&chaos).await.is_err() {
                failed.push(call);
            }
        }
        failed
    }

    let failed = failures(1).await;
    assert!((200..300).contains(&failed.len()), "{}", failed.len());
    assert_eq!(failures(1).await, failed);
    assert_ne!(failures(2).await, failed);
}

#[tokio::test(start_paused = true)]
async fn a_slow_backend_takes_its_time_and_then_does_what_it_should() {
    let chaos = chaos();
    set(&chaos, 7).await.unwrap();
    chaos.on(Operation::Get).delay(Duration::from_secs(3));
    chaos.on(Operation::Set).late(Duration::from_secs(2)).fail(ErrorKind::Timeout);

    let began = time::Instant::now();
    assert_eq!(get(&chaos).await, Ok(Some(7)));
    assert_eq!(began.elapsed().as_secs(), 3);
    assert_eq!(set(&chaos, 8).await, Err(ErrorKind::Timeout));
    assert_eq!(began.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn calls_that_hang_go_on_in_their_order_when_their_trouble_ends() {
    let chaos = chaos();
    let hang = chaos.on(Operation::WRITES).hold();
    let calls: Vec<_> = (1..=3)
        .map(|number| {
            let chaos = chaos.clone();
            tokio::spawn(async move { set(&chaos, number).await })
        })
        .collect();
    hang.reached(3).await;
    assert_eq!((hang.held(), get(&chaos).await), (3, Ok(None)));

    calls[2].abort();
    yield_now().await;
    yield_now().await;
    assert_eq!((hang.held(), hang.met()), (2, 3), "who goes away is not held any more");

    hang.end();
    for call in calls.into_iter().take(2) {
        call.await.unwrap().unwrap();
    }
    assert_eq!((hang.held(), get(&chaos).await), (0, Ok(Some(2))));
    set(&chaos, 4).await.unwrap();
}

#[tokio::test]
async fn calm_ends_everything_and_lets_go_of_what_is_held() {
    let chaos = chaos();
    let hang = chaos.on(Operation::Get).next(1).hold();
    chaos.on(Operation::Set).fail(ErrorKind::Connect);
    let call = tokio::spawn({
        let chaos = chaos.clone();
        async move { get(&chaos).await }
    });
    hang.reached(1).await;
    chaos.on(Operation::Has).fail(ErrorKind::Connect); // a used up trouble that holds a call is not forgotten

    chaos.calm();
    assert_eq!(call.await.unwrap(), Ok(None));
    assert_eq!(set(&chaos, 1).await, Ok(()));
}

#[tokio::test]
async fn what_comes_afterwards_comes_when_the_work_is_done() {
    let chaos = chaos();
    chaos.on(Operation::Set).next(1).afterwards().fail(ErrorKind::Timeout);
    assert_eq!(set(&chaos, 1).await, Err(ErrorKind::Timeout));
    assert_eq!(get(&chaos).await, Ok(Some(1)));

    let hang = chaos.on(Operation::Set).afterwards().hold();
    let call = tokio::spawn({
        let chaos = chaos.clone();
        async move { set(&chaos, 2).await }
    });
    hang.reached(1).await;
    assert_eq!(get(&chaos).await, Ok(Some(2)));
    call.abort();
}

#[tokio::test]
async fn calls_that_get_lost_are_acknowledged_and_do_nothing() {
    let chaos = chaos();
    set(&chaos, 1).await.unwrap();
    let lost = chaos.on(Operation::ALL).lose();
    assert_eq!((set(&chaos, 2).await, get(&chaos).await), (Ok(()), Ok(None)));
    assert!(!chaos.has("key").await.unwrap());
    lost.end();
    assert_eq!(get(&chaos).await, Ok(Some(1)));
}

#[tokio::test]
async fn records_can_be_forgotten_uncounted_and_in_the_middle_of_troubles() {
    let chaos = chaos();
    let cache = Cache::new(chaos.clone());
    cache.set_many([("a", 1), ("b", 2), ("c", 3)], Ttl::Forever).await.unwrap();
    let outage = chaos.on(Operation::ALL).fail(ErrorKind::Connect);
    assert!(chaos.forget("a").await.unwrap());
    assert!(!chaos.forget("a").await.unwrap());
    outage.end();
    assert_eq!(cache.get_many::<i32>(["a", "b", "c"]).await.unwrap(), [None, Some(2), Some(3)]);
    chaos.forget_everything().await.unwrap();
    assert_eq!(cache.get_many::<i32>(["a", "b", "c"]).await.unwrap(), [None; 3]);
    assert_eq!((outage.met(), chaos.calls([Operation::Delete, Operation::Clear])), (0, 0));
}

#[tokio::test]
async fn a_quiet_one_answers_at_once_and_is_asked_once() {
    let chaos = chaos();
    let trouble = chaos.on(Operation::Get).next(1).fail(ErrorKind::Connect);
    assert!(chaos.get_now("key").is_none(), "the trouble is for `get`");
    assert_eq!((chaos.calls(Operation::Get), trouble.met()), (0, 0), "which was not asked yet");
    assert_eq!(get(&chaos).await, Err(ErrorKind::Connect));

    assert!(matches!(chaos.get_now("key"), Some(Ok(None))));
    assert!(chaos.set("key", Value::integer(1), None).into_ready().is_ok());
    assert_eq!((chaos.calls(Operation::Get), chaos.calls(Operation::Set)), (2, 1));
}

#[tokio::test]
async fn a_call_that_is_dropped_before_it_is_polled_was_none() {
    let chaos = chaos();
    let trouble = chaos.on(Operation::Set).next(1).fail(ErrorKind::Connect);
    drop(chaos.set("key", Value::integer(1), None));
    assert_eq!((chaos.calls(Operation::Set), trouble.met()), (0, 0));
}

#[tokio::test]
async fn a_remote_one_keeps_bytes() {
    let memory = MemoryBackend::default();
    let chaos = Chaos::remote(memory.clone());
    let cache = Cache::new(chaos.clone());
    cache.set("key", &vec![1_u8, 2, 3], Ttl::Forever).await.unwrap();
    cache.set_many([("many", "text")], Ttl::Forever).await.unwrap();
    for key in ["key", "many"] {
        let stored = format!("{:?}", memory.get(key).await.unwrap().unwrap());
        assert!(!stored.contains("live"), "{stored}");
    }
    assert_eq!(cache.get::<Vec<u8>>("key").await.unwrap(), Some(vec![1, 2, 3]));
    assert!(!chaos.keeps_live() && Chaos::new(memory).keeps_live());
}
