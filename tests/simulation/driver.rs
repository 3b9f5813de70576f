//! One simulation: one seed says who does what, and in which order everything happens.

use std::time::Duration;

use axum_caching::testing;
use tokio::{runtime::Builder, task::JoinHandle, time};

use crate::{
    backplane::Line,
    mix::Mix,
    nodes::Node,
    rng::Rng,
    rules::{Rules, STALE, TTL},
    setup::Setup,
    subjects::{Call, Purge, Subject},
    world::{CutOff, Fault, Held, World},
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
    pub lagged: u64,
    pub missed: u64,
    pub heard: u64,
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
        self.lagged += other.lagged;
        self.missed += other.missed;
        self.heard += other.heard;
    }
}

/// No simulation takes as many steps as this that comes to an end.
const MOST_STEPS: u64 = 20_000;

pub fn simulate(seed: u64, is_traced: bool) -> Outcome {
    testing::seed(seed);
    // The root is polled again only when there is nothing else to be polled.
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).event_interval(100_000).build();
    runtime.expect("a runtime").block_on(Simulation::new(seed, is_traced).run())
}

struct Simulation {
    rng: Rng,
    world: World,
    nodes: Vec<Node>,
    tasks: Vec<JoinHandle<()>>,
    /// Readers and writers that are still to come.
    left: u64,
    mix: Mix,
    setup: Setup,
}

impl Simulation {
    fn new(seed: u64, is_traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let setup = Setup::any(&mut rng);
        let skews: Vec<i64> = (0..setup.nodes).map(|_| i64::from(rng.below_u16(10_001)) - 5_000).collect();
        let mix = Mix::new(&mut rng, &setup);
        let world = World::new(Rules::new(skews.clone(), &setup), is_traced);
        world.tell(|| format!("{setup:?} {mix:?} {skews:?}"));
        if setup.tier().is_some_and(|tier| tier.tells) {
            world.lock().lines.resize_with(setup.nodes, Line::default);
        }
        let nodes = skews.into_iter().enumerate().map(|(id, skew)| Node::new(&world, id, skew, &setup)).collect();
        // Copies are of use where things are read more than once.
        let left = if setup.tier().is_some() { 16 + rng.below(24) } else { 8 + rng.below(16) };
        Self { rng, world, nodes, tasks: Vec::new(), left, mix, setup }
    }

    async fn run(mut self) -> Outcome {
        self.warm_up().await;
        self.world.lock().held = self.mix.held;
        while self.advance().await {}
        self.look_around().await;
        self.outcome().await
    }

    async fn warm_up(&mut self) {
        let subject = self.mix.theme[0];
        // Late tags are stored once each node has seen them.
        if matches!(subject, Subject::Late | Subject::Nested) && !self.rng.one_in(8) {
            for node in self.nodes.clone() {
                self.tasks.push(tokio::spawn(node.read(Call::plain(Subject::Late))));
                self.drain().await;
            }
            self.tasks.push(tokio::spawn(self.nodes[0].clone().write(Subject::Late, Purge::Tag)));
            self.drain().await;
        }
        if self.mix.begins_stale {
            self.tasks.push(tokio::spawn(self.nodes[0].clone().read(Call::plain(subject))));
            self.drain().await;
            let millis = TTL + self.rng.below(STALE);
            self.pass(millis).await;
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
            self.time_passes().await;
        } else if mix.outages > 0 && self.rng.one_in(mix.outages) {
            self.cut_off_or_mend();
        } else if mix.breaks > 0 && self.rng.one_in(mix.breaks) {
            self.world.lock().break_or_mend(&mut self.rng);
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
            let kinds: &[Fault] = &[Fault::Before, Fault::After, Fault::Late];
            let kinds = if self.setup.may_be_late() { kinds } else { &kinds[..2] };
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
        let (any, of_theme) = (rng.pick(&Subject::ALL), rng.pick(self.mix.theme));
        let subject = if rng.one_in(self.mix.others) { any } else { of_theme };
        self.tasks.push(if rng.one_in(self.mix.writers) {
            tokio::spawn(node.write(subject, rng.pick(self.mix.purges)))
        } else {
            tokio::spawn(node.read(Call::any(rng, subject, self.mix.fails)))
        });
    }

    fn cut_off_or_mend(&mut self) {
        let mut state = self.world.lock();
        state.cut_off = match state.cut_off {
            CutOff::Nobody if self.rng.one_in(2) => CutOff::Everybody,
            CutOff::Nobody => CutOff::Node(self.rng.index(self.nodes.len())),
            CutOff::Node(_) | CutOff::Everybody => CutOff::Nobody,
        };
        let who = state.cut_off;
        state.tell(|| format!("the server cannot be reached by: {who:?}"));
    }

    async fn time_passes(&mut self) {
        let most = self.rng.pick(&[8_000, 8_000, 8_000, 60_000]);
        let millis = self.rng.below(most);
        self.pass(millis).await;
    }

    /// By the clocks of all nodes, by that of the server, and by the one that runs evenly.
    async fn pass(&mut self, millis: u64) {
        let passed = Duration::from_millis(millis);
        {
            let mut state = self.world.lock();
            state.table.now += millis;
            state.tell(|| format!("{millis} ms pass"));
            self.nodes.iter().for_each(|node| node.clock.advance(passed));
        }
        time::advance(passed).await;
    }

    /// In the end somebody asks again, and some time later.
    async fn look_around(&mut self) {
        {
            let mut state = self.world.lock();
            (state.held, state.cut_off) = (Held::default(), CutOff::Nobody);
        }
        if let Some(tier) = self.setup.tier() {
            self.make_up().await;
            self.pass(tier.lag).await;
            for node in self.nodes.clone() {
                self.read_last(node).await;
            }
        }
        for pauses in 0..2 {
            for _ in 0..pauses * 5 {
                self.time_passes().await;
            }
            let node = self.nodes[self.rng.index(self.nodes.len())].clone();
            self.read_last(node).await;
        }
    }

    async fn read_last(&mut self, node: Node) {
        for subject in self.mix.theme {
            self.tasks.push(tokio::spawn(node.clone().read(Call::plain(*subject))));
            self.drain().await;
        }
    }

    /// Purges that could not be made are tried once a second, all of those that there are.
    async fn make_up(&mut self) {
        self.drain().await;
        self.pass(1_010).await;
        self.drain().await;
        let mut state = self.world.lock();
        let now = state.table.now;
        state.rules.reach.made_up(now);
    }

    async fn outcome(self) -> Outcome {
        let (done, unanswered): (Vec<_>, Vec<_>) = self.tasks.into_iter().partition(JoinHandle::is_finished);
        let mut panicked = 0;
        for task in done {
            panicked += usize::from(task.await.is_err_and(|error| error.is_panic()));
        }
        let mut state = self.world.lock();
        let mut failures = std::mem::take(&mut state.rules.failures);
        if !unanswered.is_empty() || state.waiting() > 0 {
            failures.push(format!("{} calls are not answered after {} steps", unanswered.len(), state.step));
        }
        if panicked > 0 {
            failures.push(format!("{panicked} calls panicked"));
        }
        let mut outcome = Outcome {
            failures,
            trace: state.take_trace(),
            served: state.rules.served,
            refused: state.rules.refused,
            lagged: state.rules.lagged,
            missed: state.rules.reach.missed,
            heard: state.rules.reach.heard,
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
