//! `test_memoize.py`: objects as arguments, methods, class methods.

use axum_caching::Cache;
use serde::Serialize;

use crate::fixture::*;

/// `class Adder: @cache.memoize(5) def add(self, b)`; an instance is known by what it says it is.
fn adder(cache: &Cache) -> Foo {
    Foo::new(cache.memoizer("Adder::add").ttl(seconds(5)))
}

/// An object is its data, not its address: when that changes, it is another argument.
#[tokio::test]
async fn test_memoize_classarg() {
    #[derive(Serialize)]
    struct Adder {
        value: u32,
    }

    for (cache, _) in caches() {
        let bar = Foo::new(cache.memoizer("bar"));
        let (mut adder, adder2) = (Adder { value: 15 }, Adder { value: 20 });
        let (y, z) = (bar.call(&adder).await, bar.call(&adder2).await);
        assert_ne!(y, z);
        assert_eq!(bar.call(&adder).await, y);

        adder.value = 14;
        let changed = bar.call(&adder).await;
        assert!(changed != y && changed != z);
        adder.value = 15;
        assert_eq!(bar.call(&adder).await, y);
        assert_eq!(bar.call(&adder2).await, z);
    }
}

#[tokio::test]
async fn test_memoize_classfunc() {
    for (cache, _) in caches() {
        let add = cache.memoizer("Adder::add");
        let of = |initial: u32| {
            let add = add.instance(&initial).unwrap();
            async move |b: u32| add.call(&b, async || initial + b).await
        };
        let (adder1, adder2) = (of(1), of(2));
        let x = adder1(3).await;
        assert_eq!(x, 4);
        assert_eq!(adder1(3).await, x);
        assert_ne!(adder1(4).await, x);
        assert_eq!(adder2(3).await, 5);
        assert_eq!(cache.stats().misses, 3);
    }
}

/// The id of an instance is given; how it prints says nothing.
#[tokio::test]
async fn test_memoize_classfunc_repr() {
    #[derive(Serialize)]
    struct Adder {
        initial: u32,
    }

    impl std::fmt::Debug for Adder {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("42")
        }
    }

    for (cache, _) in caches() {
        let add = adder(&cache);
        let (one, two) = (Adder { initial: 1 }, Adder { initial: 2 });
        assert_eq!(format!("{one:?}"), format!("{two:?}"));
        let (adder1, adder2) = (add.of_instance(&one), add.of_instance(&two));

        let x = adder1.call(3).await;
        assert_eq!(adder1.call(3).await, x);
        assert_ne!(adder1.call(4).await, x);
        assert_ne!(adder2.call(3).await, x);
        assert_eq!(add.of_instance(Adder { initial: 1 }).call(3).await, x, "another object with that id");
    }
}

/// The instance is the function `adder1.add`, and the class is the function `Adder::add`.
#[tokio::test]
async fn test_memoize_classfunc_delete() {
    for (cache, _) in caches() {
        let add = adder(&cache);
        let (adder1, adder2) = (add.of_instance(1), add.of_instance(2));
        let (a1, a2) = (adder1.call(3).await, adder2.call(3).await);
        assert_ne!(a1, a2);
        assert_eq!((adder1.call(3).await, adder2.call(3).await), (a1, a2));

        adder1.memo.delete_memoized().await.unwrap();

        let (a3, a4) = (adder1.call(3).await, adder2.call(3).await);
        assert_ne!(a1, a3);
        assert_eq!(a2, a4);

        add.memo.delete_memoized().await.unwrap();

        let (a5, a6) = (adder1.call(3).await, adder2.call(3).await);
        assert_ne!(a5, a6);
        assert_ne!(a3, a5);
        assert_ne!(a4, a6);
    }
}

/// The attribute is that of the function: on an instance the same name means that instance.
#[tokio::test]
async fn test_memoize_classfunc_delete_via_attribute() {
    for (cache, _) in caches() {
        let add = adder(&cache);
        let instances = [add.of_instance(1), add.of_instance(2), add.of_instance("three")];
        let mut before = Vec::new();
        for instance in &instances {
            before.push(instance.call(3).await);
            assert_eq!(instance.call(3).await, before[before.len() - 1]);
        }

        adder(&cache).memo.delete_memoized().await.unwrap();

        for (instance, before) in instances.iter().zip(before) {
            assert_ne!(instance.call(3).await, before);
        }
    }
}

#[tokio::test]
async fn test_memoize_classfunc_delete_with_args() {
    for (cache, _) in caches() {
        let add = adder(&cache);
        let (adder1, adder2) = (add.of_instance(1), add.of_instance(2));
        let (a1, a2, a3) = (adder1.call(3).await, adder1.call(4).await, adder2.call(3).await);

        assert!(adder1.memo.delete_memoized_for(&3).await.unwrap());

        assert_ne!(adder1.call(3).await, a1);
        assert_eq!(adder1.call(4).await, a2);
        assert_eq!(adder2.call(3).await, a3);
    }
}

/// The instance is named by its id, by who has no hold of it.
#[tokio::test]
async fn test_memoize_classfunc_delete_with_explicit_instance() {
    for (cache, _) in caches() {
        let add = adder(&cache);
        let (adder1, adder2) = (add.of_instance(1), add.of_instance(2));
        let (a1, a2, a3) = (adder1.call(3).await, adder1.call(4).await, adder2.call(3).await);

        let elsewhere = cache.memoizer::<usize>("Adder::add");
        assert!(!elsewhere.delete_memoized_for(&3).await.unwrap(), "a call without an instance is another");
        assert!(elsewhere.instance(&1).unwrap().delete_memoized_for(&3).await.unwrap());

        assert_ne!(adder1.call(3).await, a1);
        assert_eq!(adder1.call(4).await, a2);
        assert_eq!(adder2.call(3).await, a3);
    }
}

/// What is not given to the memoizer is ignored, the instance too.
#[tokio::test]
async fn test_memoize_classfunc_delete_with_args_to_ignore_self() {
    for (cache, _) in caches() {
        let (adder1, runs) = (adder(&cache), adder(&cache).runs);
        let adder2 = Foo { memo: adder(&cache).memo, runs };
        let (a1, a2) = (adder1.call(3).await, adder1.call(4).await);
        assert_eq!(adder2.call(3).await, a1);
        assert_eq!(adder2.runs.count(), 0);

        assert!(adder2.memo.delete_memoized_for(&3).await.unwrap());

        assert_eq!(adder1.call(3).await, 3);
        assert_eq!(adder1.call(4).await, a2);
    }
}

/// An associated function has no instance; a type has its own by its name.
#[tokio::test]
async fn test_memoize_classmethod_delete() {
    for (cache, _) in caches() {
        let mock = Foo::new(cache.memoizer("Mock::big_foo").ttl(seconds(5)));
        let other = Foo::new(cache.memoizer("Other::big_foo").ttl(seconds(5)));
        let (result, result2) = (mock.call((5, 2)).await, mock.call((5, 3)).await);
        let kept = other.call((5, 2)).await;
        assert_eq!((mock.call((5, 2)).await, mock.call((5, 3)).await), (result, result2));

        mock.memo.delete_memoized().await.unwrap();

        assert_ne!(mock.call((5, 2)).await, result);
        assert_ne!(mock.call((5, 3)).await, result2);
        assert_eq!(other.call((5, 2)).await, kept);
        assert_eq!(other.runs.count(), 1);
    }
}

/// Two objects share what is not told apart.
#[tokio::test]
async fn test_memoize_method_ignore_self_arg() {
    struct Bar {
        big_foo: Foo,
    }

    for (cache, _) in caches() {
        let bar = || Bar { big_foo: big_foo(&cache) };
        let (one, two) = (bar(), bar());
        assert_eq!(one.big_foo.call((5, 2)).await, two.big_foo.call((5, 2)).await);
        assert_eq!((one.big_foo.runs.count(), two.big_foo.runs.count()), (1, 0));
    }
}
