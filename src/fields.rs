//! The grammar of header fields: lists, dates, codings, cookies.

use std::time::UNIX_EPOCH;

mod strings;

use percent_encoding::percent_decode;

pub(crate) use self::strings::strings;

/// The members of a list field, without the white space around them and without empty ones (RFC 9110 §5.6.1).
///
/// A comma in a quoted string does not separate. A quote that is never closed is a byte like any other, so that it
/// cannot hide what comes after it.
pub(crate) fn members(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = field;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = member_end(rest);
            let member = rest[..end].trim_ascii();
            rest = rest.get(end + 1..).unwrap_or_default();
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    })
}

fn member_end(list: &[u8]) -> usize {
    let mut at = 0;
    while at < list.len() {
        match list[at] {
            b',' => return at,
            b'"' => at += quoted_length(&list[at..]).unwrap_or(1),
            _ => at += 1,
        }
    }
    list.len()
}

/// The length of the quoted string that begins here, both quotes included, if it is closed.
fn quoted_length(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// A date in UNIX seconds (RFC 9110 §5.6.7); `None` for what is none.
pub(crate) fn date(field: &[u8]) -> Option<u64> {
    let date = httpdate::parse_http_date(std::str::from_utf8(field).ok()?.trim()).ok()?;
    Some(date.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

/// The codings that an `Accept-Encoding` accepts, in lower case, sorted, without weights.
///
/// Whoever accepts the same codings may be given the same representation, so `gzip, br` and `br;q=0.9, GZIP` are one
/// variant and a refused coding (`q=0`) is none. What is not written as RFC 9110 §12.5.3 has it is read by each
/// handler in its own way: then all lines are the value.
pub(crate) fn accepted_codings<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let lines: Vec<&[u8]> = lines.collect();
    let members = lines.iter().flat_map(|line| line.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let Some(mut codings) = members.filter(|member| !member.is_empty()).map(coding).collect::<Option<Vec<_>>>() else {
        return as_written(&lines);
    };
    // What is refused matters only where `*` would let it in, and `identity` only where `*` would not; but to refuse
    // `identity` itself always does.
    if !codings.iter().any(|coding| coding.starts_with(b"*")) {
        codings
            .retain(|coding| coding != b"identity" && (!coding.ends_with(REFUSED) || coding.starts_with(b"identity;")));
    }
    codings.sort_unstable();
    codings.dedup();
    codings.join(&b',')
}

/// How a refusal is written: no coding has such a name.
const REFUSED: &[u8] = b";q=0";

/// A coding in lower case, and whether it is refused. `None` if it is none, or has more to it than one weight.
fn coding(member: &[u8]) -> Option<Vec<u8>> {
    let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let mut coding = parts.next().filter(|name| is_token(name))?.to_ascii_lowercase();
    if parts.next().map_or(Some(false), is_zero_weight)? {
        coding.extend_from_slice(REFUSED);
    }
    parts.next().is_none().then_some(coding)
}

/// RFC 9110 §5.6.2.
fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// `None` for what is no weight (RFC 9110 §12.4.2).
fn is_zero_weight(parameter: &[u8]) -> Option<bool> {
    let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))?;
    let (whole, rest) = value.split_first()?;
    let digits = if rest.is_empty() { rest } else { rest.strip_prefix(b".")? };
    let is_valid = digits.len() <= 3
        && match whole {
            b'0' => digits.iter().all(u8::is_ascii_digit),
            b'1' => digits.iter().all(|digit| *digit == b'0'),
            _ => false,
        };
    is_valid.then(|| *whole == b'0' && digits.iter().all(|digit| *digit == b'0'))
}

/// The lines as they are, in a form that nothing that was read has.
fn as_written(lines: &[&[u8]]) -> Vec<u8> {
    [b"\xff".as_slice(), &lines.join(&b'\n')].concat()
}

/// All values of one cookie, joined by `;`, which no value contains (RFC 6265 §4.2).
///
/// A line that is no text is read by some and skipped by others: then all lines are the value.
pub(crate) fn cookie<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &str) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = lines.collect();
    if !lines.iter().copied().flatten().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        return Some(as_written(&lines));
    }
    let pairs = lines.iter().flat_map(|line| line.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    let values: Vec<&[u8]> = pairs.filter_map(|pair| value_of(pair, name)).collect();
    (!values.is_empty()).then(|| values.join(&b';'))
}

/// The value of a pair with this name, which may be escaped: some handlers take `%6Cang` for `lang`.
fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let is_it = percent_decode(pair[..at].trim_ascii()).eq(name.bytes());
    is_it.then(|| pair[at + 1..].trim_ascii())
}

/// What `Forwarded` says of the host and the scheme (RFC 7239 §5.3, §5.4). Its other parameters are of the connection.
///
/// Read as loosely as the loosest handler: a line with a quote in it, which some take for a string and some do not, is
/// taken whole.
pub(crate) fn forwarded<'a>(lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    lines.flat_map(|line| {
        let is_quoted = line.contains(&b'"');
        let pairs = line.split(move |byte| !is_quoted && matches!(byte, b',' | b';')).map(<[u8]>::trim_ascii);
        pairs.filter(move |pair| is_quoted || names_host_or_scheme(pair))
    })
}

fn names_host_or_scheme(pair: &[u8]) -> bool {
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
    name.eq_ignore_ascii_case(b"host") || name.eq_ignore_ascii_case(b"proto")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(field: &str) -> Vec<&str> {
        members(field.as_bytes()).map(|member| std::str::from_utf8(member).expect("utf-8")).collect()
    }

    #[test]
    fn members_are_split_at_commas_outside_strings() {
        // Django CVE-2026-48587 is white space that was not taken off.
        assert_eq!(list(" a ,\tb,, c=\"x,\\\",y\" ,"), ["a", "b", "c=\"x,\\\",y\""]);
        assert_eq!(list("a=\"open, b"), ["a=\"open", "b"]);
        assert_eq!(list(""), [""; 0]);
    }

    fn codings(field: &str) -> String {
        String::from_utf8(accepted_codings([field.as_bytes()].into_iter())).expect("utf-8")
    }

    #[test]
    fn an_accept_encoding_that_is_read_in_more_than_one_way_is_compared_as_it_is() {
        for field in [
            "\"x, gzip, y\";q=0",
            "gzip\"",
            "gzip;q=.",
            "gzip;q=.5",
            "gzip;q=0..0",
            "gzip;q=00",
            "gzip;q=0.0000",
            "gzip;q=0.x",
            "gzip;q=1.001",
            "gzip;q=2",
            "gzip;q=",
            "gzip;q",
            "gzip;q =0",
            "gzip;q= 0",
            "gzip;",
            "gzip;;q=0",
            "gzip;q=1;q=0",
            "gzip;level=1",
            "gz ip",
            ";q=0",
            "gzip, \u{e9}",
        ] {
            let written = accepted_codings([b"br".as_slice(), field.as_bytes()].into_iter());
            assert_eq!(written, [b"\xffbr\n", field.as_bytes()].concat(), "{field}");
        }
        for field in ["gzip ;\tq=0.5", "gzip;Q=1.000", "gzip;q=1.", "gzip;q=0.001", "gzip,, br;q=0."] {
            assert_eq!(codings(field), "gzip", "{field}");
        }
    }

    #[test]
    fn accept_encoding_is_reduced_to_what_it_accepts() {
        assert_eq!(codings("gzip, br"), "br,gzip");
        assert_eq!(codings("br;q=0.9, GZIP ;q=1"), "br,gzip");
        assert_eq!(codings("gzip, br;q=0, zstd;q=0.000"), "gzip");
        assert_eq!(codings("identity"), "");
        assert_eq!(codings("identity;q=0, gzip"), "gzip,identity;q=0");
        assert_eq!(codings("*, br;q=0"), "*,br;q=0");
        assert_ne!(codings("*;q=0, identity"), codings("*;q=0"));
        assert_eq!(codings("gzip;q=0.01"), "gzip");
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let find = |name| cookie([b"a=1; ab=2".as_slice(), b" a = 3"].into_iter(), name);
        assert_eq!(find("a"), Some(b"1;3".to_vec()));
        assert_eq!(find("ab"), Some(b"2".to_vec()));
        assert_eq!(find("b"), None);
        assert_eq!(cookie([b"%61=1".as_slice()].into_iter(), "a"), Some(b"1".to_vec()));
    }
}
