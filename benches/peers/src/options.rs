//! The command line.

use crate::{
    subjects,
    support::drive::{BARE, REQUEST, Subject},
};

const USAGE: &str = "usage: peers [--entries NUMBER] [SUBJECT]...";

pub(crate) struct Options {
    /// How many entries the table of memory is about.
    pub(crate) entries: u32,
    only: Vec<String>,
}

impl Options {
    pub(crate) fn parse() -> Result<Self, String> {
        let mut options = Self { entries: 100_000, only: Vec::new() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            if argument == "--entries" {
                let number = arguments.next().and_then(|number| number.parse().ok());
                options.entries = number.ok_or(USAGE)?;
            } else if subjects::ALL.iter().any(|subject| subject.name.contains(&argument)) {
                options.only.push(argument);
            } else {
                let names: Vec<&str> = options.subjects().map(|subject| subject.name).collect();
                return Err(format!("{USAGE}\nsubjects: {}", names.join(", ")));
            }
        }
        Ok(options)
    }

    /// The caches asked for, or all of them; always after the bare route.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &'static Subject> {
        let asked = |name: &str| self.only.is_empty() || self.only.iter().any(|only| name.contains(only));
        subjects::ALL
            .iter()
            .filter(|subject| subject.name != REQUEST.name)
            .filter(move |subject| subject.name == BARE.name || asked(subject.name))
    }
}
