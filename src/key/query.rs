use std::borrow::Cow;

use arrayvec::ArrayVec;

use super::Text;

/// More segments than this are sorted on the heap.
const FEW: usize = 16;

/// Writes all segments of a query, as [`canonical_query`] does; says whether any is there.
pub(crate) fn canonical_whole(query: &str, out: &mut Text) -> bool {
    if is_canonical(query) {
        out.push(query);
        return true;
    }
    canonical_query(query, |_| true, out)
}

/// Whether it is as it would be written, which most are: no empty segments, and plain names in order.
fn is_canonical(query: &str) -> bool {
    let (mut rest, mut before) = (query.as_bytes(), b"".as_slice());
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'=' | b'&' | b'%' | b'+')).unwrap_or(rest.len());
        let (name, value) = rest.split_at(end);
        let is_plain = match value.first() {
            Some(byte) => *byte == b'=' || *byte == b'&' && !name.is_empty(),
            None => !name.is_empty(),
        };
        if !is_plain || name < before {
            return false;
        }
        let Some(end) = value.iter().position(|byte| *byte == b'&') else { return true };
        (rest, before) = (&value[end + 1..], name);
    }
}

/// Writes the segments of a query that are kept, raw and sorted by their decoded names; says whether any is there.
///
/// The order of equal names is kept, since `?sort=a&sort=b` is not `?sort=b&sort=a`. Names are decoded the way
/// `axum::extract::Query` does it, because it takes `%70age` for `page`. Empty segments say nothing to it either.
pub(crate) fn canonical_query(query: &str, keep: impl Fn(&str) -> bool, out: &mut Text) -> bool {
    let mut few = ArrayVec::<Segment<'_>, FEW>::new();
    let mut segments = segments(query).filter(|segment| keep(&segment.name));
    while let Some(segment) = segments.next() {
        if let Err(full) = few.try_push(segment) {
            let mut many: Vec<_> = few.into_iter().chain([full.element()]).chain(segments).collect();
            return write(&mut many, out);
        }
    }
    write(&mut few, out)
}

struct Segment<'a> {
    name: Cow<'a, str>,
    raw: &'a str,
}

fn segments(query: &str) -> impl Iterator<Item = Segment<'_>> {
    let mut rest = query;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (raw, after) = split_at_byte(rest, b'&');
            rest = after;
            if !raw.is_empty() {
                return Some(Segment { name: name(raw), raw });
            }
        }
        None
    })
}

/// What is before a byte and what is after it. (A general search costs more than the few bytes that it skips.)
fn split_at_byte(text: &str, byte: u8) -> (&str, &str) {
    match text.bytes().position(|other| other == byte) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}

fn name(raw: &str) -> Cow<'_, str> {
    let (name, _) = split_at_byte(raw, b'=');
    if name.bytes().any(|byte| byte == b'%' || byte == b'+') {
        form_urlencoded::parse(name.as_bytes()).next().map_or(Cow::Borrowed(name), |(name, _)| name)
    } else {
        Cow::Borrowed(name)
    }
}

fn write(segments: &mut [Segment<'_>], out: &mut Text) -> bool {
    segments.sort_by(|one, two| one.name.cmp(&two.name));
    for (index, segment) in segments.iter().enumerate() {
        if index > 0 {
            out.push("&");
        }
        out.push(segment.raw);
    }
    !segments.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(query: &str) -> String {
        let mut text = Text::default();
        canonical_query(query, |_| true, &mut text);
        text.as_str().to_owned()
    }

    #[test]
    fn names_are_sorted_and_the_order_of_equal_names_is_kept() {
        assert_eq!(canonical("b=2&a=1"), "a=1&b=2");
        assert_eq!(canonical("s=b&a=1&s=a"), "a=1&s=b&s=a");
    }

    #[test]
    fn an_escaped_name_keeps_its_place_among_its_equals() {
        assert_ne!(canonical("page=1&%70age=2"), canonical("%70age=2&page=1"));
        // Both names decode to the replacement character, and mean one parameter to the handler.
        assert_ne!(canonical("%FE=1&%FF=2"), canonical("%FF=2&%FE=1"));
    }

    #[test]
    fn a_query_of_many_segments_is_sorted_too() {
        let many: Vec<_> = (0..40).rev().map(|n| format!("n{n:02}=x")).collect();
        let mut sorted = many.clone();
        sorted.sort();
        assert_eq!(canonical(&many.join("&")), sorted.join("&"));
    }

    #[test]
    fn a_whole_query_is_written_like_one_of_which_all_is_kept() {
        let queries = [
            "",
            "a",
            "=",
            "&",
            "=1",
            "a=1",
            "a=1&",
            "&a=1",
            "a&&b",
            "a=1&b=2",
            "b=2&a=1",
            "a=1&a=0",
            "a=b&a+b=c",
            "a=%26",
            "b=1&%61=2",
            "%61=1&b=2",
            "a+=1&a=2",
            "a=1&ab=2&b=3",
            "ab=2&a=1",
            "=&=",
            "a=1=2&b",
            "B=1&a=2",
            "a=&b=",
        ];
        for query in queries {
            let mut whole = Text::default();
            let is_any = canonical_whole(query, &mut whole);
            assert_eq!((whole.as_str(), is_any), (canonical(query).as_str(), !matches!(query, "" | "&")), "{query}");
        }
    }

    #[test]
    fn what_is_not_kept_leaves_no_trace() {
        let mut text = Text::default();
        assert!(!canonical_query("utm_source=x&%75tm_source=y", |name| name != "utm_source", &mut text));
        assert_eq!(text.as_str(), "");
    }
}
