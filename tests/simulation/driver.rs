//! One simulation: one seed says who does what, and in which order everything happens.

use std::time::Duration;

use tokio::{runtime::Builder, task::JoinHandle};

use crate::{
    backend::Class,
    nodes::{Call, Node, Purge, Subject},
    rng::Rng,
    rules::{Rules, STALE, TTL},
    world::{Fault, Held, World},
};

/// What came of one seed.
#[derive(Debug, Default)]
pub struct Outcome {
    pub failures: Vec<String>,
    pub trace: Vec<String>,
    pub served: u64,
    pub refused: u64,
    pub steps: u64,
    pub hits: u64,
    pub stale: u64,
    pub shared: u64,
}

impl Outcome {
    /// Counts another one too.
    pub fn add(&mut self, other: &Self) {
        self.served += other.served;
        self.refused += other.refused;
        self.steps += other.steps;
        self.hits += other.hits;
        self.stale += other.stale;
        self.shared += other.shared;
    }
}

/// No simulation takes as many steps as this that comes to an end.
const MOST_STEPS: u64 = 20_000;

/// What writers do; in most seeds a part of it only. A clear takes away so much that little can go wrong after it.
const PURGES: [&[Purge]; 7] = {
    use Purge::{All, Clear, Mark, One, Tag};
    let all: &[Purge] = &[One, One, One, One, One, Tag, Tag, Tag, Tag, Tag, All, All, Clear, Mark, Mark, Mark];
    [all, all, &[One], &[Tag], &[Mark], &[Mark, Mark, Tag, One], &[Tag, One]]
};

pub fn simulate(seed: u64, is_traced: bool) -> Outcome {
    // The root is polled again only when there is nothing else to be polled.
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).event_interval(100_000).build();
    runtime.expect("a runtime").block_on(Simulation::new(seed, is_traced).run())
}

/// What most of a seed is about.
const THEMES: [Subject; 8] = {
    use Subject::{Beside, Early, Key, Late, Nested, Page};
    [Key, Key, Early, Late, Late, Nested, Page, Beside]
};

/// Operations that are worth to be held up: between them and what came before them anything may happen.
const HELD: [&str; 8] =
    [" set @t/lane", " delete @t/", " compare_and_set", " add @t/", " get @t/", " delete", ": row of", ": end of"];

/// What there is more or less of in a seed. What is in none of its orders leaves room for something else: an order that
/// needs three things of one kind is hardly met where all kinds are mixed.
#[derive(Clone, Copy, Debug)]
struct Mix {
    theme: Subject,
    purges: &'static [Purge],
    /// How often it is about something else than the theme, as one in so many. The same is meant below, and 0 is never.
    others: u64,
    writers: u64,
    faults: u64,
    cancels: u64,
    losses: u64,
    /// How often time passes.
    pace: u64,
    /// How often an operation is held up.
    holds: u64,
    /// Operations of up to two kinds that are held up always, and for how many steps.
    held: Held,
    has_slow: bool,
    fails: bool,
    /// What is read is there at the beginning, and stale.
    begins_stale: bool,
}

/// What has to come together for one of the rules to be needed, where chance hardly brings it together.
type Meeting = (Subject, &'static [Purge], Held, bool);

const MEETINGS: [Meeting; 5] = {
    use Purge::{Mark, One, Tag};
    [
        // A fill ends between the two operations of a purge.
        (Subject::Late, &[Tag], [Some((" set @t/lane", 40)), Some((": end of", 15))], false),
        // A purge comes between two operations of a fill that ends.
        (Subject::Late, &[Tag], [Some((" get @t/lane", 40)), Some((" get @t/tag", 15))], false),
        // An entry is marked, or purged, while it is made anew.
        (Subject::Key, &[Mark, Mark, One], [Some((": end of", 40)), None], true),
        // A tag is purged while it is marked.
        (Subject::Early, &[Mark, Tag], [Some((" compare_and_set @t/", 40)), None], false),
        // A page is purged while another variant of it is made.
        (Subject::Page, &[One], [Some((": end of Page", 90)), None], false),
    ]
};

impl Mix {
    fn new(rng: &mut Rng, is_calm: bool) -> Self {
        let any = Self::any(rng, is_calm);
        if !rng.one_in(3) {
            return any;
        }
        let (theme, purges, held, begins_stale) = rng.pick(&MEETINGS);
        let others = if theme == Subject::Page { 1 } else { 100 };
        let quiet = Self { writers: 4, faults: 0, cancels: 0, losses: 0, pace: 0, holds: 0, has_slow: false, ..any };
        Self { theme, purges, held, begins_stale, others, fails: false, ..quiet }
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
            pace: rng.pick(&[0, 6, 20]),
            holds: rng.pick(&[0, 6, 15]),
            held: [(); 2].map(|()| (!rng.one_in(3)).then(|| (rng.pick(&HELD), rng.pick(&[15, 40])))),
            has_slow: rng.one_in(3),
            fails: !is_calm && rng.one_in(2),
            begins_stale: rng.one_in(3),
        }
    }
}

struct Simulation {
    rng: Rng,
    world: World,
    nodes: Vec<Node>,
    tasks: Vec<JoinHandle<()>>,
    /// Readers and writers that are still to come.
    left: u64,
    mix: Mix,
    class: Class,
}

impl Simulation {
    fn new(seed: u64, is_traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let class = if rng.one_in(4) { Class::Plain } else { Class::Compares };
        let nodes = rng.pick(&[1, 2, 2, 3]);
        let skews: Vec<i64> = (0..nodes).map(|_| i64::from(rng.below_u16(10_001)) - 5_000).collect();
        let is_calm = rng.one_in(3);
        let mix = Mix::new(&mut rng, is_calm);
        let world = World::new(Rules::new(skews.clone(), is_calm), is_traced);
        let nodes = skews.into_iter().enumerate().map(|(id, skew)| Node::new(&world, id, skew, class)).collect();
        let left = 8 + rng.below(16);
        Self { rng, world, nodes, tasks: Vec::new(), left, mix, class }
    }

    async fn run(mut self) -> Outcome {
        self.warm_up().await;
        self.world.lock().held = self.mix.held;
        while self.advance().await {}
        self.look_around().await;
        self.outcome()
    }

    async fn warm_up(&mut self) {
        // Late tags are stored once each node has seen them.
        if matches!(self.mix.theme, Subject::Late | Subject::Nested) && !self.rng.one_in(8) {
            for node in self.nodes.clone() {
                self.tasks.push(tokio::spawn(node.read(Call::plain(Subject::Late))));
                self.drain().await;
            }
            self.tasks.push(tokio::spawn(self.nodes[0].clone().write(Subject::Late, Purge::Tag)));
            self.drain().await;
        }
        if self.mix.begins_stale {
            self.tasks.push(tokio::spawn(self.nodes[0].clone().read(Call::plain(self.mix.theme))));
            self.drain().await;
            let millis = TTL + self.rng.below(STALE);
            self.pass(millis);
        }
    }

    /// Lets what has begun come to its end, with nothing new and nothing that goes wrong.
    async fn drain(&mut self) {
        loop {
            settle().await;
            let mut state = self.world.lock();
            if state.waiting() == 0 || state.step > MOST_STEPS {
                return;
            }
            state.step += 1;
            state.go_on(&mut self.rng, 0, |_| Fault::None);
        }
    }

    /// One step; `false` when there is nothing left to be done.
    async fn advance(&mut self) -> bool {
        settle().await;
        let waiting = {
            let mut state = self.world.lock();
            state.step += 1;
            if state.step > MOST_STEPS {
                return false;
            }
            state.waiting() as u64
        };
        if self.left == 0 && waiting == 0 {
            return false;
        }
        let mix = self.mix;
        if mix.has_slow && self.rng.one_in(24) {
            // It changes, so that everybody is overtaken at some time.
            self.world.lock().slow = Some(self.rng.index(self.nodes.len() + 1));
        }
        if self.left > 0 && (waiting == 0 || self.rng.below(waiting + 4) == 0) {
            self.left -= 1;
            self.begin();
        } else if mix.pace > 0 && self.rng.one_in(mix.pace) {
            self.time_passes();
        } else if mix.losses > 0 && self.rng.one_in(mix.losses) {
            let mut state = self.world.lock();
            let lost = state.table.lose(&mut self.rng);
            state.tell(|| format!("lost: {lost}"));
        } else if mix.cancels > 0 && self.rng.one_in(mix.cancels) && !self.tasks.is_empty() {
            let task = self.rng.index(self.tasks.len());
            self.world.tell(|| format!("task {task} is dropped"));
            self.tasks[task].abort();
        } else if waiting > 0 {
            let faults = mix.faults;
            // A plain write that is done after it has failed is outside of the contract of a backend.
            let kinds: &[Fault] = &[Fault::Before, Fault::After, Fault::Late];
            let kinds = if self.class == Class::Plain { &kinds[..2] } else { kinds };
            let fault = |rng: &mut Rng| match faults {
                _ if rng.one_in(4) => Fault::Unsent,
                0 => Fault::None,
                n if rng.one_in(n) => rng.pick(kinds),
                _ => Fault::None,
            };
            self.world.lock().go_on(&mut self.rng, mix.holds, fault);
        }
        true
    }

    /// Another reader, or a writer.
    fn begin(&mut self) {
        let rng = &mut self.rng;
        let node = self.nodes[rng.index(self.nodes.len())].clone();
        let any = rng.pick(&Subject::ALL);
        let subject = if rng.one_in(self.mix.others) { any } else { self.mix.theme };
        self.tasks.push(if rng.one_in(self.mix.writers) {
            tokio::spawn(node.write(subject, rng.pick(self.mix.purges)))
        } else {
            tokio::spawn(node.read(Call::any(rng, subject, self.mix.fails)))
        });
    }

    fn time_passes(&mut self) {
        let most = self.rng.pick(&[8_000, 8_000, 8_000, 60_000]);
        let millis = self.rng.below(most);
        self.pass(millis);
    }

    fn pass(&mut self, millis: u64) {
        let mut state = self.world.lock();
        state.table.now += millis;
        state.tell(|| format!("{millis} ms pass"));
        self.nodes.iter().for_each(|node| node.clock.advance(Duration::from_millis(millis)));
    }

    /// In the end somebody asks again, and some time later.
    async fn look_around(&mut self) {
        self.world.lock().held = Held::default();
        for pauses in 0..2 {
            (0..pauses * 5).for_each(|_| self.time_passes());
            let node = self.nodes[self.rng.index(self.nodes.len())].clone();
            self.tasks.push(tokio::spawn(node.read(Call::plain(self.mix.theme))));
            self.drain().await;
        }
    }

    fn outcome(self) -> Outcome {
        let mut state = self.world.lock();
        let mut failures = std::mem::take(&mut state.rules.failures);
        let unanswered = self.tasks.iter().filter(|task| !task.is_finished()).count();
        if unanswered > 0 || state.waiting() > 0 {
            failures.push(format!("{unanswered} calls are not answered after {} steps", state.step));
        }
        let mut outcome = Outcome {
            failures,
            trace: state.take_trace(),
            served: state.rules.served,
            refused: state.rules.refused,
            steps: state.step,
            ..Outcome::default()
        };
        drop(state);
        for stats in self.nodes.iter().map(|node| node.cache.stats()) {
            outcome.hits += stats.hits;
            outcome.stale += stats.stale;
            outcome.shared += stats.shared;
        }
        outcome
    }
}

/// Lets all tasks come as far as they can: the root is woken when none of them is left to be polled.
async fn settle() {
    tokio::task::yield_now().await;
}
