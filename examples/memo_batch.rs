//! A resolver that loads in batches, as GraphQL servers do: one look at the cache, one query for what is missing.
//!
//! ```text
//! cargo run --example memo_batch
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum_caching::{Cache, Memoizer, MemoryBackend};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Author {
    id: u32,
    name: String,
}

/// A database that counts what it is asked.
#[derive(Clone, Default)]
struct Database(Arc<AtomicUsize>);

impl Database {
    /// `SELECT .. WHERE id IN (..)`. An author that is not there is `None`: that too is worth keeping.
    async fn authors(&self, ids: &[&u32]) -> Vec<Option<Author>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        println!("  query for {ids:?}");
        tokio::task::yield_now().await;
        ids.iter().map(|id| (**id < 100).then(|| Author { id: **id, name: format!("author {id}") })).collect()
    }
}

#[derive(Clone)]
struct Resolver {
    database: Database,
    authors: Memoizer<Option<Author>>,
}

impl Resolver {
    fn new(cache: &Cache, database: Database) -> Self {
        let authors = cache
            .memoizer("authors")
            .ttl(Duration::from_secs(60))
            // What is missing may come soon.
            .negative(Option::is_none, Duration::from_secs(5));
        Self { database, authors }
    }

    /// The authors of some books, in their order.
    async fn authors(&self, ids: &[u32]) -> Vec<Option<Author>> {
        self.authors.call_many(ids, async |missing: &[&u32]| self.database.authors(missing).await).await
    }
}

#[tokio::main]
async fn main() -> Result<(), axum_caching::BoxError> {
    let database = Database::default();
    let resolver = Resolver::new(&Cache::new(MemoryBackend::default()), database.clone());

    println!("a page of books by 1, 2, 1 and 3:");
    let page = resolver.authors(&[1, 2, 1, 3]).await;
    assert_eq!(page.iter().flatten().map(|author| author.id).collect::<Vec<_>>(), [1, 2, 1, 3]);

    println!("the next page, by 2, 3, 4 and somebody unknown:");
    let page = resolver.authors(&[2, 3, 4, 404]).await;
    assert_eq!(page.last(), Some(&None));

    println!("both again:");
    resolver.authors(&[1, 2, 1, 3, 2, 3, 4, 404]).await;
    assert_eq!(database.0.load(Ordering::SeqCst), 2, "nothing was missing");

    println!("author 2 has another name now, and is loaded anew:");
    resolver.authors.delete_memoized_for(&2).await?;
    resolver.authors(&[1, 2, 3]).await;
    assert_eq!(database.0.load(Ordering::SeqCst), 3);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_does_what_it_prints() {
        super::main().expect("no error");
    }
}
