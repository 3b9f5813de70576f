//! What somebody may have meant.

/// The word that is nearest to this one, if it is near.
pub(super) fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    // A third of the letters may be wrong, but no more than two. What is longer than any word is near to none.
    let most = (word.len() / 3).min(2);
    if word.len() > 40 {
        return None;
    }
    let near = words.into_iter().map(|known| (distance(&word, known), known)).filter(|(far, _)| *far <= most);
    near.min_by_key(|(far, _)| *far).map(|(_, known)| known)
}

/// How many letters have to be put in, taken out or replaced (Levenshtein).
fn distance(one: &str, two: &str) -> usize {
    let mut row: Vec<usize> = (0..=two.chars().count()).collect();
    for (line, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, b) in two.chars().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        assert_eq!((distance("", "abc"), distance("kitten", "sitting"), distance("ttl", "ttl")), (3, 3, 0));
        let words = ["max_bytes", "max_entries", "ttl", "redis", "rediss"];
        for (word, expected) in [
            ("max_byte", Some("max_bytes")),
            ("MAX_BYTES", Some("max_bytes")),
            ("max_entires", Some("max_entries")),
            ("tll", Some("ttl")),
            ("reddis", Some("redis")),
            ("max", None),
            ("", None),
            ("x", None),
            ("postgres", None),
        ] {
            assert_eq!(nearest(word, words), expected, "{word:?}");
        }
        assert_eq!(nearest(&"max_bytes".repeat(9), words), None);
    }
}
