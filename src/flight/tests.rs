use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::*;

fn key() -> Arc<str> {
    Arc::from("key")
}

fn lead(flights: &Flights) -> Lead {
    match flights.join(&key(), 1) {
        Role::Leader(lead) => lead,
        Role::Follower(_) => panic!("somebody leads already"),
    }
}

fn follow(flights: &Flights) -> Follower {
    match flights.join(&key(), 1) {
        Role::Follower(follower) => follower,
        Role::Leader(_) => panic!("nobody leads"),
    }
}

fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn shared() -> Outcome {
    Outcome::Shared(Value::integer(1))
}

#[test]
fn whatever_happens_nothing_is_left_in_the_table() {
    let endings: [fn(&Flights); 9] = [
        |flights| lead(flights).end(shared()),
        |flights| drop(lead(flights)),
        |flights| drop(flights.solo(&key(), 1)),
        |flights| drop((lead(flights), follow(flights), follow(flights))),
        |flights| {
            let (lead, follower) = (lead(flights), follow(flights));
            drop(follower);
            drop(lead);
        },
        |flights| {
            let (lead, mut follower) = (lead(flights), follow(flights));
            drop(lead);
            // It takes over, and fails as well.
            drop(now(follower.news()));
        },
        |flights| {
            let lead = lead(flights);
            drop(now(flights.gate(&key())));
            lead.end(shared());
        },
        |flights| {
            let lead = lead(flights);
            let gate = now(flights.gate(&key())).expect("open");
            lead.end_and_open(gate, shared());
        },
        |flights| {
            let (lead, follower) = (lead(flights), follow(flights));
            now(flights.gate(&key())).expect("open").void();
            drop((follower, lead));
        },
    ];
    for (index, ending) in endings.iter().enumerate() {
        let flights = Flights::default();
        ending(&flights);
        assert!(flights.is_empty(), "ending {index}");
    }
}

#[test]
fn the_first_to_ask_after_a_failure_leads_and_the_others_wait_on() {
    let flights = Flights::default();
    let (lead, mut one, mut two) = (lead(&flights), follow(&flights), follow(&flights));

    drop(lead);

    let Some(News::Lead(_second)) = now(one.news()) else { panic!("one leads") };
    assert!(now(two.news()).is_none());
}

#[test]
fn who_joins_after_the_close_is_not_handed_the_answer() {
    let flights = Flights::default();
    let (lead, mut early) = (lead(&flights), follow(&flights));
    lead.close();
    let mut late = follow(&flights);

    lead.end(shared());

    assert!(matches!(now(early.news()), Some(News::Ended(Outcome::Shared(_)))));
    assert!(matches!(now(late.news()), Some(News::Ended(Outcome::LookUp))));
}

#[test]
fn what_a_purge_has_ended_is_not_shared_afterwards() {
    let flights = Flights::default();
    let (lead, mut follower) = (lead(&flights), follow(&flights));

    now(flights.gate(&key())).expect("open").void();
    assert!(lead.is_void());
    lead.end(shared());

    assert!(matches!(now(follower.news()), Some(News::Ended(Outcome::LookUp))));
}

#[test]
fn a_gate_is_held_by_one_at_a_time_and_the_next_is_woken() {
    let flights = Flights::default();
    let first = now(flights.gate(&key())).expect("open");
    let key = key();
    let mut second = pin!(flights.gate(&key));
    let mut context = Context::from_waker(Waker::noop());
    assert!(second.as_mut().poll(&mut context).is_pending());

    drop(first);

    assert!(second.as_mut().poll(&mut context).is_ready());
}

#[test]
fn what_is_known_of_an_answer_is_told_once_to_each_who_waits() {
    let flights = Flights::default();
    let (lead, mut follower) = (lead(&flights), follow(&flights));
    assert!(now(follower.news()).is_none());

    lead.publish(|| Head { answer: Arc::new(7_u8), wait: None });

    assert!(matches!(now(follower.news()), Some(News::Head(_))));
    assert!(now(follower.news()).is_none());
    assert!(matches!(now(follow(&flights).news()), Some(News::Head(_))));
}
