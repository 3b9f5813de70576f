mod support;
use support::*;
#[tokio::test]
async fn smoke() {
    let (cache, _clock) = cache();
    let (app, runs) = app(layer(&cache).response_hit_indication(true), |_, n| format!("run {n}"));
    let (s, t) = fetch(&app, "/foo").await;
    assert!(is_miss(s));
    assert_eq!(t, "run 1");
    let r = send(&app, get("/foo")).await;
    println!("{r:?}");
    let (s, t) = fetch(&app, "/foo").await;
    assert_eq!((s, t.as_str(), runs.count()), (axum_caching::CacheStatus::Hit, "run 1", 1));
    assert!(cache.delete_cached("/foo").await.unwrap());
    let (s, t) = fetch(&app, "/foo").await;
    assert!(is_miss(s));
    assert_eq!(t, "run 2");
    println!("{:?}", cache);
}
