//! What there is more or less of in a seed. What is in none of its orders leaves room for something else: an order that
//! needs three things of one kind is hardly met where all kinds are mixed.

use crate::{
    rng::Rng,
    setup::{Keeps, Setup},
    subjects::{Purge, Subject},
    world::Held,
};

/// What most of a seed is about.
type Theme = &'static [Subject];

const THEMES: [Theme; 9] = {
    use Subject::{Beside, Early, Key, Late, Nested, Page, Sliding};
    const PAGES: Theme = &[Page, Beside];
    [&[Key], &[Key], &[Early], &[Late], &[Late], &[Nested], &[Sliding], PAGES, PAGES]
};

/// What writers do; in most seeds a part of it only. A clear takes away so much that little can go wrong after it.
const PURGES: [&[Purge]; 7] = {
    use Purge::{All, Clear, Mark, One, Tag};
    let all: &[Purge] = &[One, One, One, One, One, Tag, Tag, Tag, Tag, Tag, All, All, Clear, Mark, Mark, Mark];
    [all, all, &[One], &[Tag], &[Mark], &[Mark, Mark, Tag, One], &[Tag, One]]
};

/// Operations that are worth to be held up: between them and what came before them anything may happen.
const HELD: [&str; 10] = [
    " set @t/lane",
    " delete @t/",
    " compare_and_set",
    " set memo/",
    " add @t/",
    " get @t/",
    " delete",
    ": row of",
    ": end of",
    ": hears",
];

#[derive(Clone, Copy, Debug)]
pub struct Mix {
    pub theme: Theme,
    pub purges: &'static [Purge],
    /// How often it is about something else than the theme, as one in so many. The same is meant below, and 0 is never.
    pub others: u64,
    pub writers: u64,
    pub faults: u64,
    pub cancels: u64,
    pub losses: u64,
    /// How often a node, or all, are cut off from the server, and how often that is over.
    pub outages: u64,
    /// The same of what nodes tell each other.
    pub breaks: u64,
    /// How often time passes.
    pub pace: u64,
    /// How often an operation is held up.
    pub holds: u64,
    /// Operations of up to two kinds that are held up always, and for how many steps.
    pub held: Held,
    pub has_slow: bool,
    pub fails: bool,
    /// What is read is there at the beginning, and stale.
    pub begins_stale: bool,
}

/// What has to come together for one of the rules to be needed, where chance hardly brings it together.
#[derive(Clone, Copy)]
struct Meeting {
    theme: Theme,
    purges: &'static [Purge],
    held: Held,
    begins_stale: bool,
    pace: u64,
}

const MEETINGS: [Meeting; 9] = {
    use Purge::{Mark, One, Tag};
    use Subject::{Beside, Early, Key, Late, Page, Sliding};
    const PAGE: Meeting =
        Meeting { theme: &[Page, Beside], purges: &[One], held: [None, None], begins_stale: false, pace: 0 };
    const KEY: Meeting = Meeting { theme: &[Key], ..PAGE };
    const LATE: Meeting = Meeting { theme: &[Late], purges: &[Tag], ..PAGE };
    [
        // A fill ends between the two operations of a purge.
        Meeting { held: [Some((" set @t/lane", 40)), Some((": end of", 15))], ..LATE },
        // A purge comes between two operations of a fill that ends.
        Meeting { held: [Some((" get @t/lane", 40)), Some((" get @t/tag", 15))], ..LATE },
        // An entry is marked, or purged, while it is made anew.
        Meeting { purges: &[Mark, Mark, One], held: [Some((": end of", 40)), None], begins_stale: true, ..KEY },
        // A tag is purged while it is marked.
        Meeting { theme: &[Early], purges: &[Mark, Tag], held: [Some((" compare_and_set @t/", 40)), None], ..PAGE },
        // A page is purged while another variant of it is made.
        Meeting { held: [Some((": end of Page", 90)), None], ..PAGE },
        Meeting { theme: &[Page, Beside, Beside], held: [Some((": end of Beside", 60)), None], ..PAGE },
        // What slides is marked, or purged, while it is used.
        Meeting { theme: &[Sliding], purges: &[Mark, One], held: [Some((" set memo/sliding", 30)), None], ..PAGE },
        // What is purged elsewhere was just asked for.
        Meeting { theme: &[Key, Early], purges: &[One, Tag], held: [Some((" get", 6)), None], ..PAGE },
        // The same, and its answer takes a while.
        Meeting { pace: 8, ..KEY },
    ]
};

impl Mix {
    pub fn new(rng: &mut Rng, setup: &Setup) -> Self {
        let any = Self::any(rng, setup.is_calm);
        let mix = if rng.one_in(3) { Self::meeting(rng, any) } else { any };
        mix.fit_for(setup)
    }

    fn any(rng: &mut Rng, is_calm: bool) -> Self {
        let or_never = |n| if is_calm { 0 } else { n };
        Self {
            theme: rng.pick(&THEMES),
            purges: rng.pick(&PURGES),
            others: rng.pick(&[2, 10, 100]),
            writers: rng.pick(&[2, 3, 4]),
            faults: or_never(rng.pick(&[0, 10, 25])),
            cancels: or_never(rng.pick(&[0, 20, 50])),
            losses: rng.pick(&[0, 0, 40, 100]),
            outages: or_never(rng.pick(&[0, 0, 30, 60])),
            breaks: or_never(rng.pick(&[0, 20, 50])),
            pace: rng.pick(&[0, 6, 20]),
            holds: rng.pick(&[0, 6, 15]),
            held: [(); 2].map(|()| (!rng.one_in(3)).then(|| (rng.pick(&HELD), rng.pick(&[15, 40])))),
            has_slow: rng.one_in(3),
            fails: !is_calm && rng.one_in(2),
            begins_stale: rng.one_in(3),
        }
    }

    fn meeting(rng: &mut Rng, any: Self) -> Self {
        let Meeting { theme, purges, held, begins_stale, pace } = rng.pick(&MEETINGS);
        let quiet = Self {
            writers: 4,
            others: 100,
            faults: 0,
            cancels: 0,
            losses: 0,
            outages: 0,
            breaks: 0,
            holds: 0,
            // Where time passes, it passes between what is asked and its answer.
            has_slow: pace > 0,
            fails: false,
            ..any
        };
        Self { theme, purges, pace, held, begins_stale, ..quiet }
    }

    /// Without what cannot be, and with more of what there is.
    fn fit_for(self, setup: &Setup) -> Self {
        match setup.keeps {
            Keeps::Shared(_) => Self { breaks: 0, ..self },
            // A copy is of something that was read before, and lags if somebody asks for it soon after a purge.
            Keeps::Tiered(_, tier) => Self {
                breaks: if tier.tells { self.breaks } else { 0 },
                pace: if self.pace == 0 { 15 } else { self.pace },
                others: self.others.max(10),
                writers: self.writers + 3,
                ..self
            },
            // What is in the process itself is always there.
            Keeps::Live { .. } => Self { faults: 0, losses: 0, outages: 0, breaks: 0, ..self },
        }
    }
}
