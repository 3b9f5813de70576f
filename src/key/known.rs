use std::{cell::RefCell, hash::BuildHasher};

use arrayvec::ArrayString;
use foldhash::fast::FixedState;

use super::{
    Text,
    digest::{HashMethod, Hex},
};

/// How many digests a thread knows. With the texts behind them they take 70 KiB at most.
const PLACES: usize = 256;

/// Longer texts are digested each time.
const MAX: usize = 128;

/// A text and its digest.
struct Known {
    hash: HashMethod,
    text: ArrayString<MAX>,
    digest: Hex,
}

thread_local! {
    /// What was digested last, each in the one place that its text comes to. A few queries are most of what is asked
    /// for, and to digest one with MD5 costs eight times what it costs to find it here. Each thread has its own, so
    /// that nobody waits for a lock.
    static KNOWN: RefCell<[Option<Box<Known>>; PLACES]> = const { RefCell::new([const { None }; PLACES]) };
}

/// Appends the digest of a text.
pub(super) fn push_digest(hash: HashMethod, text: &str, out: &mut Text) {
    let place = place(text);
    if !push_known(place, hash, text, out) {
        // Not while the table is borrowed: a hash method is the user's code.
        let digest = hash.hex(text.as_bytes());
        out.push(&digest);
        learn(place, hash, text, digest);
    }
}

/// Appends a digest, if this thread knows it.
fn push_known(place: usize, hash: HashMethod, text: &str, out: &mut Text) -> bool {
    let push = |known: &Known| {
        let is_it = known.hash.is(hash) && known.text.as_str() == text;
        if is_it {
            out.push(&known.digest);
        }
        is_it
    };
    KNOWN.try_with(|known| known.borrow()[place].as_deref().is_some_and(push)).unwrap_or(false)
}

#[inline(never)]
fn learn(place: usize, hash: HashMethod, text: &str, digest: Hex) {
    let Ok(text) = ArrayString::from(text) else { return };
    let learnt = Known { hash, text, digest };
    // A thread that ends has no table any more.
    let _ = KNOWN.try_with(|known| match &mut known.borrow_mut()[place] {
        Some(known) => **known = learnt,
        place => *place = Some(Box::new(learnt)),
    });
}

fn place(text: &str) -> usize {
    // The remainder is below the number of places.
    usize::try_from(FixedState::default().hash_one(text) % PLACES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update, consts::U4};

    use super::*;

    thread_local! {
        static RUNS: Cell<u32> = const { Cell::new(0) };
    }

    /// Its digest is how often it has run.
    #[derive(Default)]
    struct Counting;

    impl HashMarker for Counting {}

    impl OutputSizeUser for Counting {
        type OutputSize = U4;
    }

    impl Update for Counting {
        fn update(&mut self, _: &[u8]) {}
    }

    impl FixedOutput for Counting {
        fn finalize_into(self, out: &mut Output<Self>) {
            RUNS.set(RUNS.get() + 1);
            out.copy_from_slice(&RUNS.get().to_be_bytes());
        }
    }

    fn pushed(hash: HashMethod, text: &str) -> String {
        let mut out = Text::from("?");
        push_digest(hash, text, &mut out);
        out.as_str().to_owned()
    }

    #[test]
    fn a_text_is_digested_once_and_a_long_one_each_time() {
        let (hash, long) = (HashMethod::of::<Counting>(), "x".repeat(MAX + 1));
        assert_eq!(pushed(hash, "page=1"), "?00000001");
        assert_eq!(pushed(hash, "page=1"), "?00000001");
        assert_eq!(pushed(hash, &long), "?00000002");
        assert_eq!(pushed(hash, &long), "?00000003");
        assert_eq!(pushed(hash, "page=1"), "?00000001");
    }

    #[test]
    fn what_is_known_is_the_digest_of_just_that_text_by_just_that_method() {
        let (md5, sha) = (HashMethod::default(), HashMethod::of::<sha2::Sha256>());
        // More than there are places.
        for text in (0..2_000).map(|n| format!("page={n}")) {
            for hash in [md5, sha, sha, md5] {
                assert_eq!(pushed(hash, &text), format!("?{}", hash.hex(text.as_bytes())));
            }
        }
    }
}
