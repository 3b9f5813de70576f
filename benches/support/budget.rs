//! What a figure may be, and the words for what it is.

use super::{callgrind::Cost, report::grouped};

/// An upper bound that must hold, and one that is aimed at.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) must: f64,
    pub(crate) aim: f64,
}

/// What the cost of a request is held against.
#[derive(Clone, Copy)]
pub(crate) enum Budget {
    /// Instructions as a ratio to those of the bare route, and allocations.
    Bare { instructions: Limit, allocations: Option<Limit> },
    /// Instructions within 2 % of those of the plain hit on the same subject.
    Flat,
    /// Nothing was set down.
    None,
}

/// What a request costs, and what it is compared with.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) cost: Cost,
    /// The same request without a cache.
    pub(crate) floor: Cost,
    /// The plain hit on the same subject.
    pub(crate) hit: Cost,
}

pub(crate) const COLUMNS: [&str; 8] = ["", "instructions", "x bare", "budget", "", "allocations", "budget", ""];
const OVER: &str = "OVER";

impl Limit {
    /// The limits, and how the value stands to them. Values are compared as precisely as they are shown.
    pub(crate) fn judge(self, value: f64, decimals: usize) -> [String; 2] {
        let scale = [1.0, 10.0, 100.0][decimals];
        let within = |limit: f64| (value * scale).round() <= (limit * scale).round();
        let word = if within(self.aim) {
            "aim"
        } else if within(self.must) {
            "ok"
        } else {
            OVER
        };
        let limit = |limit: f64| {
            if decimals < 2 { grouped(limit) } else { format!("{limit:.2}") }
        };
        [format!("{} / {}", limit(self.must), limit(self.aim)), word.to_owned()]
    }
}

impl Budget {
    /// A row of the table.
    pub(crate) fn row(self, name: String, figures: Figures) -> Vec<String> {
        let Figures { cost, floor, hit } = figures;
        let ratio = cost.instructions / floor.instructions;
        let nothing = || [String::new(), String::new()];
        let (instructions, allocations) = match self {
            Self::Bare { instructions, allocations } => (
                instructions.judge(ratio, 2),
                allocations.map_or_else(nothing, |limit| limit.judge(cost.allocations, 1)),
            ),
            Self::Flat => {
                let percent = 100.0 * (cost.instructions / hit.instructions - 1.0);
                let word = if percent.abs() <= 2.0 { "ok" } else { OVER };
                (["hit ±2 %".to_owned(), format!("{percent:+.1} %: {word}")], nothing())
            }
            Self::None => (nothing(), nothing()),
        };
        let mut row = vec![name, grouped(cost.instructions), format!("{ratio:.2}")];
        row.extend(instructions);
        row.push(format!("{:.1}", cost.allocations));
        row.extend(allocations);
        row
    }
}

/// Whether a row has a figure that is over its budget.
pub(crate) fn is_over(row: &[String]) -> bool {
    row.iter().any(|cell| cell.ends_with(OVER))
}
