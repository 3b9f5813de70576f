//! What is asked of each subject: the columns of the table of costs.

use crate::support::scenario::Scenario;

pub(crate) const ALL: &[Scenario] = &[
    Scenario::hit("hit"),
    Scenario::hit("hit, query").with_query(),
    Scenario::hit("hit, headers").with_headers(),
    Scenario::hit("hit, 64 B").with_body(64),
    Scenario::hit("hit, 1 MiB").with_body(1 << 20).with_count(10),
    Scenario::miss("miss"),
    Scenario::miss("miss, query").with_query(),
];
