use std::sync::Mutex;

use super::*;

/// Notes which of its methods was called.
#[derive(Debug, Default)]
struct Noted(Mutex<Vec<&'static str>>);

impl Noted {
    fn note<T>(&self, method: &'static str, answer: T) -> BackendFuture<'_, T> {
        self.0.lock().unwrap().push(method);
        BackendFuture::ready(Ok(answer))
    }
}

impl Backend for Noted {
    fn get_now(&self, key: &str) -> Option<Result<Option<Value>>> {
        (key == "now").then(|| Ok(Some(Value::integer(1))))
    }
    fn get<'a>(&'a self, _: &'a str) -> BackendFuture<'a, Option<Value>> {
        self.note("get", None)
    }
    fn set<'a>(&'a self, _: &'a str, _: Value, _: Option<Duration>) -> BackendFuture<'a, ()> {
        self.note("set", ())
    }
    fn add<'a>(&'a self, _: &'a str, _: Value, _: Option<Duration>) -> BackendFuture<'a, bool> {
        self.note("add", true)
    }
    fn delete<'a>(&'a self, _: &'a str) -> BackendFuture<'a, bool> {
        self.note("delete", true)
    }
    fn increment<'a>(&'a self, _: &'a str, by: i64) -> BackendFuture<'a, i64> {
        self.note("increment", by)
    }
    fn clear<'a>(&'a self, _: &'a str) -> BackendFuture<'a, ()> {
        self.note("clear", ())
    }
    fn compare_and_set<'a>(
        &'a self,
        _: &'a str,
        _: &'a [u8],
        _: Value,
        _: Option<Duration>,
    ) -> BackendFuture<'a, bool> {
        self.note("compare_and_set", true)
    }
    fn has<'a>(&'a self, _: &'a str) -> BackendFuture<'a, bool> {
        self.note("has", true)
    }
    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, Vec<Option<Value>>> {
        self.note("get_many", vec![None; keys.len() + 1])
    }
    fn set_many<'a>(&'a self, _: &'a [(&'a str, Value)], _: Option<Duration>) -> BackendFuture<'a, ()> {
        self.note("set_many", ())
    }
    fn delete_many<'a>(&'a self, keys: &'a [&'a str]) -> BackendFuture<'a, usize> {
        self.note("delete_many", keys.len())
    }
}

fn guarded(backend: &Arc<impl Backend>, breaker: Breaker) -> Guard {
    Guard::new(Arc::clone(backend) as Arc<dyn Backend>, Duration::from_secs(1), breaker, |_| {})
}

fn now<T>(future: BackendFuture<'_, T>) -> Result<T> {
    future.into_ready().expect("what the backend has at once is there at once")
}

/// Calls all methods, and gives what each failed with.
fn call_all(guard: &Guard) -> Vec<Option<ErrorKind>> {
    let kind = |result: Result<()>| result.err().map(|error| error.kind());
    let value = || Value::integer(1);
    vec![
        kind(now(guard.get("a")).map(drop)),
        kind(now(guard.set("a", value(), None))),
        kind(now(guard.add("a", value(), None)).map(drop)),
        kind(now(guard.delete("a")).map(drop)),
        kind(now(guard.increment("a", 1)).map(drop)),
        kind(now(guard.clear("a"))),
        kind(now(guard.compare_and_set("a", b"", value(), None)).map(drop)),
        kind(now(guard.has("a")).map(drop)),
        kind(now(guard.get_many(&["a"])).map(|found| assert_eq!(found.len(), 2, "as many as there are"))),
        kind(now(guard.set_many(&[("a", value())], None))),
        kind(now(guard.delete_many(&["a"])).map(drop)),
    ]
}

const METHODS: [&str; 11] = [
    "get",
    "set",
    "add",
    "delete",
    "increment",
    "clear",
    "compare_and_set",
    "has",
    "get_many",
    "set_many",
    "delete_many",
];

#[test]
fn each_method_is_that_of_the_backend_and_what_is_ready_stays_ready() {
    let backend = Arc::new(Noted::default());
    let guard = guarded(&backend, Breaker::default());
    assert_eq!(call_all(&guard), [None; 11]);
    assert_eq!(*backend.0.lock().unwrap(), METHODS);
    assert!(guard.get_now("now").is_some() && guard.get_now("later").is_none());
    assert_eq!(format!("{guard:?}"), format!("{backend:?}"));
}

#[test]
fn each_method_is_refused_while_the_breaker_is_open_but_for_what_is_there_at_once() {
    let backend = Arc::new(Noted::default());
    let guard = guarded(&backend, Breaker::default().failures(1));
    guard.admit().unwrap().failed();
    assert!(guard.is_shut());

    assert_eq!(call_all(&guard), [Some(ErrorKind::Unavailable); 11]);
    assert_eq!(guard.rejected(), 11);
    assert!(backend.0.lock().unwrap().is_empty());
    assert!(guard.get_now("now").is_some());
}

#[test]
fn of_a_thousand_threads_that_ask_at_half_open_one_is_let_through() {
    let (open_for, passed) = (Duration::from_secs(3_600), AtomicUsize::new(0));
    let guard = guarded(&Arc::new(Noted::default()), Breaker::default().failures(1).open_for(open_for));
    guard.admit().unwrap().failed();
    // Long after, a probe whose caller went away.
    guard.switch.with(|circuit, now| {
        let gone = circuit.ask(now + open_for).expect("half open");
        circuit.abandoned(gone);
    });
    std::thread::scope(|scope| {
        for _ in 0..1_000 {
            scope.spawn(|| {
                if let Ok(permit) = guard.admit() {
                    passed.fetch_add(1, Ordering::Relaxed);
                    std::mem::forget(permit);
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 1);
    assert_eq!(guard.state(), BreakerState::HalfOpen);
}

#[test]
fn a_call_that_is_made_and_never_polled_leaves_the_probe_to_the_next_one() {
    #[derive(Debug)]
    struct Later;
    impl Backend for Later {
        fn get<'a>(&'a self, _: &'a str) -> BackendFuture<'a, Option<Value>> {
            BackendFuture::new(async { Ok(None) })
        }
        fn set<'a>(&'a self, _: &'a str, _: Value, _: Option<Duration>) -> BackendFuture<'a, ()> {
            BackendFuture::new(async { Ok(()) })
        }
        fn add<'a>(&'a self, _: &'a str, _: Value, _: Option<Duration>) -> BackendFuture<'a, bool> {
            BackendFuture::ready(Ok(true))
        }
        fn delete<'a>(&'a self, _: &'a str) -> BackendFuture<'a, bool> {
            BackendFuture::ready(Ok(true))
        }
        fn increment<'a>(&'a self, _: &'a str, by: i64) -> BackendFuture<'a, i64> {
            BackendFuture::ready(Ok(by))
        }
        fn clear<'a>(&'a self, _: &'a str) -> BackendFuture<'a, ()> {
            BackendFuture::ready(Ok(()))
        }
    }
    let guard = guarded(&Arc::new(Later), Breaker::default().failures(1).open_for(Duration::ZERO));
    guard.admit().unwrap().failed();
    for _ in 0..3 {
        assert!(guard.set("key", Value::integer(1), None).into_ready().is_err(), "it has to be waited for");
        assert_eq!(guard.state(), BreakerState::HalfOpen);
    }
    assert!(guard.get("key").into_ready().is_err());
}

#[test]
fn a_success_after_failures_begins_their_count_anew_also_for_those_who_were_let_through_before_them() {
    let guard = guarded(&Arc::new(Noted::default()), Breaker::default().failures(2));
    let early = guard.admit().unwrap();
    guard.admit().unwrap().failed();
    early.heard(&Ok(()));
    guard.admit().unwrap().failed();
    assert_eq!(guard.state(), BreakerState::Closed);
    let calm = guard.admit().unwrap();
    guard.admit().unwrap().failed();
    assert_eq!(guard.state(), BreakerState::Open);
    calm.heard(&Ok(()));
    assert_eq!(guard.state(), BreakerState::Open, "it was sent before");
}
