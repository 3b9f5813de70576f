//! What is read, how it is purged, and how a call is made.

use crate::rng::Rng;

pub const ROWS: usize = 5;

/// What is read; each has a row of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A value under a key.
    Key,
    /// A result whose tag is known before its data is read.
    Early,
    /// A result whose tag is found in its data.
    Late,
    /// A result that is made of the one with the late tag.
    Nested,
    /// A result that stays while it is used.
    Sliding,
    /// A response, of which there is another one beside it.
    Page,
    Beside,
}

impl Subject {
    pub const ALL: [Self; 7] =
        [Self::Key, Self::Early, Self::Late, Self::Nested, Self::Sliding, Self::Page, Self::Beside];

    pub fn row(self) -> usize {
        match self {
            Self::Key => 0,
            Self::Early => 1,
            Self::Late | Self::Nested => 2,
            Self::Page | Self::Beside => 3,
            Self::Sliding => 4,
        }
    }

    /// What its key begins with.
    pub fn key(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Early => "memo/early(",
            Self::Late => "memo/late(",
            Self::Nested => "memo/nested(",
            Self::Sliding => "memo/sliding(",
            Self::Page | Self::Beside => "view/",
        }
    }

    pub fn is_of_a_page(self) -> bool {
        matches!(self, Self::Page | Self::Beside)
    }

    /// Whether it is marked by its key, and not by a tag.
    pub fn is_marked_by_key(self) -> bool {
        matches!(self, Self::Key | Self::Sliding | Self::Beside)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    /// The entry, or the one result.
    One,
    /// Of the function, or the key among others.
    All,
    Tag,
    Clear,
    /// Marks the tag stale, or the key.
    Mark,
}

/// How a call is made, beside what it reads.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub subject: Subject,
    pub is_owned: bool,
    pub fails: bool,
    /// The late tag is named before the data is read, or after it.
    pub tags_first: bool,
    /// It is kept for half as long.
    pub is_short: bool,
}

impl Call {
    pub fn plain(subject: Subject) -> Self {
        Self { subject, is_owned: true, fails: false, tags_first: false, is_short: false }
    }

    pub fn any(rng: &mut Rng, subject: Subject, may_fail: bool) -> Self {
        let fails = may_fail && rng.one_in(4);
        // One variant mostly outlives the other, which then hangs on it.
        let is_short = rng.one_in(8) != (subject == Subject::Page);
        Self { subject, is_owned: rng.one_in(2), fails, tags_first: rng.one_in(4), is_short }
    }
}
