//! Instructions and allocations, both counted by callgrind.
//!
//! A profile is written when the measured loop is entered and when it is left, and the second one
//! holds what happened between. The instructions are its total, the allocations are the calls it
//! notes to the functions of the C library: the program is measured as it is, without an allocator
//! or probes of ours.

use std::{collections::HashMap, env, fs, process};

use super::{
    child::command,
    drive::{BARE, REQUEST, Subject},
    scenario::{Kind, Scenario},
};

const ALLOCATOR: [&str; 5] = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"];

/// What one request costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) instructions: f64,
    pub(crate) allocations: f64,
}

/// The cost of one request, less that of making it; an error says why there is no figure.
pub(crate) fn measure(subject: &Subject, scenario: &Scenario, request: Cost) -> Result<Cost, String> {
    let whole = measure_whole(subject, scenario)?;
    Ok(Cost {
        instructions: whole.instructions - request.instructions,
        allocations: whole.allocations - request.allocations,
    })
}

/// The cost of making a request of this scenario.
pub(crate) fn request_cost(scenario: &Scenario) -> Result<Cost, String> {
    measure_whole(&REQUEST, scenario)
}

fn measure_whole(subject: &Subject, scenario: &Scenario) -> Result<Cost, String> {
    let profile = env::temp_dir().join(format!("callgrind.{}", process::id()));
    let part = |number: u8| profile.with_extension(format!("{}.{number}", process::id()));
    let wrapper = [
        "valgrind".to_owned(),
        "--tool=callgrind".to_owned(),
        "-q".to_owned(),
        "--dump-before=*::measured_loop".to_owned(),
        "--dump-after=*::measured_loop".to_owned(),
        format!("--callgrind-out-file={}", profile.display()),
    ];
    let output = command(&wrapper, subject.name, scenario.name, scenario.count)
        .map_err(|error| format!("valgrind did not start ({error}): install the package valgrind"))?;
    let text = fs::read_to_string(part(2)).unwrap_or_default();
    for file in [part(1), part(2), profile] {
        // What is left behind is a file in the directory for temporary ones.
        let _ = fs::remove_file(file);
    }
    if !output.status.success() {
        return Err(format!("{}: {}", subject.name, String::from_utf8_lossy(&output.stderr)));
    }
    check(subject, scenario, &String::from_utf8_lossy(&output.stdout))?;
    let (instructions, allocations) = parse(&text).ok_or("a profile that cannot be read")?;
    let count = f64::from(scenario.count);
    Ok(Cost { instructions: instructions / count, allocations: allocations / count })
}

/// A figure counts only if the requests were what the scenario calls them, and were answered in full.
fn check(subject: &Subject, scenario: &Scenario, report: &str) -> Result<(), String> {
    let count = scenario.count as usize;
    let handler_calls = match scenario.kind {
        Kind::Hit if subject.name != BARE.name => 0,
        _ => count,
    };
    let expected = format!("{handler_calls} {}", count * scenario.body);
    if subject.name == REQUEST.name || report.trim() == expected {
        return Ok(());
    }
    let report = report.trim();
    Err(format!("{}, {}: handler calls and bytes are {report}, not {expected}", subject.name, scenario.name))
}

/// Instructions and calls of the allocator in a profile.
///
/// A function is written `(id) name` the first time and `(id)` after that. A line `cfn=` names a
/// function that is called, the line `calls=` after it says how often.
fn parse(profile: &str) -> Option<(f64, f64)> {
    let (mut names, mut callee) = (HashMap::new(), "");
    let (mut instructions, mut allocations) = (None, 0.0);
    for line in profile.lines() {
        if let Some(function) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            let (id, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(id, name);
            }
            callee = names.get(id).copied().unwrap_or_default();
        } else if let Some(calls) = line.strip_prefix("calls=") {
            if ALLOCATOR.contains(&callee) {
                allocations += calls.split(' ').next()?.parse::<f64>().ok()?;
            }
        } else if let Some(total) = line.strip_prefix("totals: ") {
            instructions = total.trim().parse().ok();
        }
    }
    Some((instructions?, allocations))
}
