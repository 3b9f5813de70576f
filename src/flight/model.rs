//! Flights, tickets, gates and stamps in every order that makes a difference. The backend is one slot, the origin one
//! number, and what is done with them is what `cache` does, step by step.

mod world;

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use loom::sync::atomic::{AtomicUsize, Ordering};

use self::world::{Entry, NEW, OLD, World, key, spawn, world};
use super::*;
use crate::sync::model::{self, block_on, explore, join, lock};

#[test]
fn of_two_callers_of_a_cold_key_one_leads_and_both_have_its_answer() {
    explore(|| {
        let world = world();
        let other = spawn(&world, World::ask);

        assert_eq!((world.ask(), join(other)), (OLD, OLD));

        assert_eq!(world.runs.load(Ordering::Relaxed), 1);
        world.ends();
    });
}

#[test]
fn a_follower_takes_over_from_a_leader_that_failed_and_after_two_failures_the_rest_go_alone() {
    /// Whether this one took over. It fails in its turn.
    fn follow(mut follower: Follower, leaders: &AtomicUsize) -> bool {
        match block_on(follower.news()) {
            News::Lead(lead) => {
                // As in `Cache::turn`, where the follower is gone before the run begins.
                drop(follower);
                assert_eq!(leaders.fetch_add(1, Ordering::AcqRel), 0, "two lead");
                leaders.fetch_sub(1, Ordering::AcqRel);
                drop(lead);
                true
            }
            News::Ended(Outcome::Alone) => false,
            other => panic!("{other:?}"),
        }
    }
    explore(|| {
        let world = world();
        let leaders = Arc::new(AtomicUsize::new(0));
        let (lead, one, two) = (world.lead(), world.follow(), world.follow());
        let one = model::spawn({
            let leaders = Arc::clone(&leaders);
            move || follow(one, &leaders)
        });
        let failed = model::spawn(move || drop(lead));

        let two = follow(two, &leaders);

        join(failed);
        assert_eq!(usize::from(join(one)) + usize::from(two), 1, "one took over");
        world.ends();
    });
}

#[test]
fn callers_that_come_while_a_leader_fails_are_answered_all_the_same() {
    explore(|| {
        let world = world();
        let lead = world.lead();
        let failed = model::spawn(move || drop(lead));
        let other = spawn(&world, World::ask);

        assert_eq!((world.ask(), join(other)), (OLD, OLD));

        join(failed);
        assert_eq!(world.runs.load(Ordering::Relaxed), 1);
        world.ends();
    });
}

#[test]
fn after_a_purge_nothing_older_is_stored_or_handed_to_anybody() {
    explore(|| {
        let world = world();
        let older = spawn(&world, World::ask);

        world.data.store(NEW, Ordering::Relaxed);
        world.delete();
        assert_ne!(world.look(), Some(OLD));
        assert_eq!(world.ask(), NEW);

        join(older);
        assert_eq!(world.look(), Some(NEW));
        world.ends();
    });
}

#[test]
fn a_caller_after_a_purge_is_not_answered_by_a_flight_with_followers_that_began_before() {
    explore(|| {
        let world = world();
        let (lead, mut early) = (world.lead(), world.follow());
        let entry = Entry { made: OLD, stamp: world.stamp().now() };
        let fill = spawn(&world, move |world| world.store(lead, entry));
        let early = model::spawn(move || match block_on(early.news()) {
            News::Ended(Outcome::Shared(_) | Outcome::LookUp) => {}
            other => panic!("{other:?}"),
        });

        world.data.store(NEW, Ordering::Relaxed);
        world.delete();
        assert_eq!(world.ask(), NEW);

        join(fill);
        join(early);
        assert_eq!(world.look(), Some(NEW));
        world.ends();
    });
}

#[test]
fn who_comes_after_the_close_looks_up_whether_a_purge_comes_or_not() {
    explore(|| {
        let world = world();
        let (lead, stamp) = (world.lead(), world.stamp().now());
        lead.close();
        let mut late = world.follow();
        let fill = spawn(&world, move |world| world.store(lead, Entry { made: OLD, stamp }));
        let purge = spawn(&world, World::delete);

        assert!(matches!(block_on(late.news()), News::Ended(Outcome::LookUp)));

        drop(late);
        join(fill);
        join(purge);
        assert_eq!(world.look(), None);
        world.ends();
    });
}

#[test]
fn what_was_not_shared_before_a_purge_is_not_shared_after_it() {
    explore(|| {
        let world = world();
        let (lead, mut early) = (world.lead(), world.follow());
        // `Fill::share`, which takes no gate.
        let fill = spawn(&world, |world| {
            lead.close();
            world.runs.store(1, Ordering::Relaxed);
            lead.end(Outcome::Shared(Value::integer(OLD)));
        });

        world.delete();
        let is_late = world.runs.load(Ordering::Relaxed) == 0;

        let is_shared = matches!(block_on(early.news()), News::Ended(Outcome::Shared(_)));
        assert!(!(is_late && is_shared));
        join(fill);
        drop(early);
        world.ends();
    });
}

#[test]
fn a_gate_lets_one_in_at_a_time_and_wakes_all_who_wait() {
    fn add_one(world: &World) {
        let _gate = block_on(world.flights.gate(&key()));
        let before = world.data.load(Ordering::Relaxed);
        world.data.store(before + 1, Ordering::Relaxed);
    }
    explore(|| {
        let world = world();
        let others = [spawn(&world, add_one), spawn(&world, add_one)];

        add_one(&world);

        others.into_iter().for_each(join);
        assert_eq!(world.data.load(Ordering::Relaxed), OLD + 3);
        world.ends();
    });
}

/// Asks once and goes away. Told that it leads, it fails: that is what it says.
fn goes_away(mut follower: Follower) -> bool {
    let news = pin!(follower.news()).poll(&mut Context::from_waker(Waker::noop()));
    matches!(news, Poll::Ready(News::Lead(_)))
}

#[test]
fn a_leader_that_fails_while_its_only_follower_goes_away_leaves_nothing_behind() {
    explore(|| {
        let world = world();
        let (lead, follower) = (world.lead(), world.follow());
        let failed = model::spawn(move || drop(lead));

        goes_away(follower);

        join(failed);
        world.ends();
    });
}

#[test]
fn a_follower_that_goes_away_while_its_leader_fails_leaves_the_lead_to_the_other() {
    explore(|| {
        let world = world();
        let (lead, gone, mut stays) = (world.lead(), world.follow(), world.follow());
        let failed = model::spawn(move || drop(lead));
        let gone = model::spawn(move || goes_away(gone));

        let news = block_on(stays.news());

        join(failed);
        match (join(gone), news) {
            (false, News::Lead(lead)) => world.store(lead, Entry { made: OLD, stamp: 0 }),
            (true, News::Ended(Outcome::Alone)) => {}
            other => panic!("{other:?}"),
        }
        drop(stays);
        world.ends();
    });
}

#[test]
fn what_is_stored_after_a_clear_by_a_fill_from_before_it_is_dead() {
    explore(|| {
        let world = world();
        // No ticket and no gate: the stamp alone.
        let late = spawn(&world, |world| {
            let stamp = world.stamp().now();
            let made = world.data.load(Ordering::Relaxed);
            *lock(&world.slot) = Some(Entry { made, stamp });
        });

        world.data.store(NEW, Ordering::Relaxed);
        world.stamps.replace("a/");
        assert_ne!(world.look(), Some(OLD));

        join(late);
        assert_ne!(world.look(), Some(OLD));
    });
}

#[test]
fn after_a_clear_nothing_older_is_stored_or_handed_to_anybody() {
    explore(|| {
        let world = world();
        let older = spawn(&world, World::ask);

        world.data.store(NEW, Ordering::Relaxed);
        world.clear();
        assert_ne!(world.look(), Some(OLD));
        assert_eq!(world.ask(), NEW);

        join(older);
        assert_eq!(world.look(), Some(NEW));
        world.ends();
    });
}
