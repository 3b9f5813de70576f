//! The tables printed.

use crate::{
    options::Options,
    scenarios,
    support::{
        callgrind::{Cost, measure, request_cost},
        drive::Subject,
        memory::bytes_per_entry,
        report::{Table, grouped},
        stampede::stampede,
    },
};

const CALLERS: u32 = 1000;

/// Instructions and allocations per request, a scenario a column.
pub(crate) fn costs(options: &Options) -> Result<(), String> {
    let mut columns: Vec<Vec<Cost>> = Vec::new();
    for scenario in scenarios::ALL {
        eprintln!("{} ...", scenario.name);
        let request = request_cost(scenario)?;
        columns.push(options.subjects().map(|subject| measure(subject, scenario, request)).collect::<Result<_, _>>()?);
    }
    let mut head = vec![""];
    head.extend(scenarios::ALL.iter().map(|scenario| scenario.name));
    let table = |cell: fn(Cost, Cost) -> String| {
        let row = |(row, subject): (usize, &Subject)| {
            let cells = columns.iter().map(|column| cell(column[row], column[0]));
            std::iter::once(subject.name.to_owned()).chain(cells).collect()
        };
        Table::new(&head, options.subjects().enumerate().map(row))
    };
    let instructions = table(|cost, bare| {
        format!("{} ({})", grouped(cost.instructions), ratio(cost.instructions / bare.instructions))
    });
    let allocations = table(|cost, _| format!("{:.1}", cost.allocations));
    println!("Instructions per request (ratio to axum without a cache)\n\n{instructions}");
    println!("Allocations per request\n\n{allocations}");
    Ok(())
}

/// Many callers for one cold key.
pub(crate) fn stampedes(options: &Options) {
    let rows = options.subjects().map(|subject| {
        let (calls, elapsed) = stampede(subject, CALLERS);
        vec![subject.name.to_owned(), grouped(calls), elapsed.as_millis().to_string()]
    });
    let table = Table::new(&["", "handler calls", "ms in all"], rows);
    println!("{CALLERS} callers at once for one cold key, handler of 50 ms\n\n{table}");
}

/// Resident memory per entry.
pub(crate) fn memory(options: &Options) -> Result<(), String> {
    let mut rows = Vec::new();
    for subject in options.subjects().skip(1) {
        let (bytes, kept) = bytes_per_entry(subject, options.entries)?;
        rows.push(vec![subject.name.to_owned(), grouped(bytes), format!("{:.1} %", 100.0 * kept)]);
    }
    let table = Table::new(&["", "bytes per entry", "entries kept"], rows);
    let entries = grouped(f64::from(options.entries));
    println!("Resident memory per entry, {entries} entries with a body of 64 B\n\n{table}");
    Ok(())
}

fn ratio(ratio: f64) -> String {
    match ratio {
        ..10.0 => format!("{ratio:.2}"),
        ..100.0 => format!("{ratio:.1}"),
        _ => grouped(ratio),
    }
}
