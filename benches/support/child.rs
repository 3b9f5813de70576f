//! What a process does that was started for one figure.

use std::{
    env,
    hint::black_box,
    io::{self, Write},
    process::{self, Command, Output, Stdio},
};

use tokio::runtime::{Builder, Runtime};

use super::{
    app,
    drive::{BARE, REQUEST, Subject},
    memory,
    scenario::Scenario,
};

const CHILD: &str = "--child";

/// Does what this process was started for, if it was started by [`command`] for one of these, and ends it.
pub(crate) fn run(subjects: &[Subject], scenarios: &[Scenario]) {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [flag, subject, scenario, count] = arguments.as_slice() else {
        return;
    };
    if flag != CHILD {
        return;
    }
    let Some(subject) = subjects.iter().find(|known| known.name == *subject) else { return };
    let report = match scenarios.iter().find(|known| known.name == *scenario) {
        Some(scenario) => batch(subject, scenario),
        None => memory::fill(subject, count.parse().expect("a number of entries")),
    };
    writeln!(io::stdout(), "{report}").expect("a parent that listens");
    process::exit(0); // without freeing the cache, which would take long under valgrind
}

/// Runs this program again, under `wrapper` if that is not empty, for one figure.
pub(crate) fn command(wrapper: &[String], subject: &str, scenario: &str, count: u32) -> io::Result<Output> {
    let program = env::current_exe()?;
    let mut command = match wrapper {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    command.args([CHILD, subject, scenario, &count.to_string()]).stdin(Stdio::null()).output()
}

/// A runtime on this thread, as each worker of a server has one.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// Fills the cache, sends the measured batch, and reports handler calls and bytes of bodies.
fn batch(subject: &Subject, scenario: &Scenario) -> String {
    let (runtime, mut filling, load) = (runtime(), scenario.filling(), scenario.measured());
    if [REQUEST.name, BARE.name].contains(&subject.name) {
        filling.count = filling.count.min(64); // to warm up; there is nothing to fill
    }
    let mut driver = (subject.build)(app::app(scenario.body), scenario.capacity());
    driver.run(&runtime, &filling);
    let before = app::calls();
    let bytes = measured_loop(&mut || driver.run(&runtime, &load));
    format!("{} {bytes}", app::calls() - before)
}

/// Callgrind collects while this runs, and finds it by its name.
#[inline(never)]
fn measured_loop(work: &mut dyn FnMut() -> usize) -> usize {
    black_box(work())
}
