//! What may be told of a value that could not be read: never what it is.

use std::fmt;

/// What serde and JSON say before they come to the value. All else is somebody's own text, and may have the value in it.
const KINDS: [&str; 9] = [
    "invalid type",
    "invalid value",
    "invalid length",
    "unknown variant",
    "unknown field",
    "missing field",
    "duplicate field",
    "EOF while parsing",
    "expected value",
];

/// What kind of error this is and, of JSON, at which place.
pub(super) fn without_content(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    let kind = KINDS.into_iter().find(|kind| text.starts_with(kind)).unwrap_or("not what was expected");
    match place(&text) {
        Some((line, column)) => format!("{kind} at line {line} column {column}"),
        None => kind.to_owned(),
    }
}

fn place(text: &str) -> Option<(usize, usize)> {
    let (_, place) = text.rsplit_once(" at line ")?;
    let (line, column) = place.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_and_the_place_are_told_and_nothing_else() {
        for (error, told) in [
            ("invalid type: string \"s3cret\", expected u32 at line 1 column 8", "invalid type at line 1 column 8"),
            ("invalid value: integer `300`, expected u8", "invalid value"),
            ("unknown variant `s3cret`, expected `a`", "unknown variant"),
            ("s3cret is no date at line 2 column 3", "not what was expected at line 2 column 3"),
            ("s3cret at line 1 column s3cret", "not what was expected"),
            ("", "not what was expected"),
        ] {
            assert_eq!(without_content(&error), told);
        }
    }
}
