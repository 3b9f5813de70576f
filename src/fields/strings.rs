//! Lists of strings, as structured fields have them (RFC 9651): read whole, or not at all.

/// The strings of a field that is a List of Strings. Parameters are read and left alone.
///
/// `None` if any of it is something else: such a field is as if it was not there (RFC 9651 §4.2).
pub(crate) fn strings<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Vec<String>> {
    let joined = lines.collect::<Vec<_>>().join(&b", "[..]);
    let mut rest = Rest(&joined);
    let mut strings = Vec::new();
    rest.skip(b" ");
    if rest.0.is_empty() {
        return Some(strings);
    }
    loop {
        strings.push(rest.string()?);
        rest.parameters()?;
        rest.skip(b" \t");
        if rest.0.is_empty() {
            return Some(strings);
        }
        rest.expect(b',')?;
        rest.skip(b" \t");
    }
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn skip(&mut self, bytes: &[u8]) {
        self.take_while(|byte| bytes.contains(&byte));
    }

    fn take_while(&mut self, is_part: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|byte| !is_part(*byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn string(&mut self) -> Option<String> {
        self.expect(b'"')?;
        let mut string = String::new();
        loop {
            match self.next()? {
                b'"' => return Some(string),
                b'\\' => string.push(self.next().filter(|byte| matches!(byte, b'"' | b'\\'))?.into()),
                byte @ b' '..=b'~' => string.push(byte.into()),
                _ => return None,
            }
        }
    }

    fn parameters(&mut self) -> Option<()> {
        while self.0.first() == Some(&b';') {
            self.next();
            self.skip(b" ");
            self.next().filter(|byte| byte.is_ascii_lowercase() || *byte == b'*')?;
            self.take_while(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte));
            if self.0.first() == Some(&b'=') {
                self.next();
                self.item()?;
            }
        }
        Some(())
    }

    /// A bare item of any sort.
    fn item(&mut self) -> Option<()> {
        match *self.0.first()? {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(true),
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.take_while(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte));
                Some(())
            }
            b':' => {
                self.next();
                self.take_while(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
                self.expect(b':')
            }
            b'?' => {
                self.next();
                self.next().filter(|byte| matches!(byte, b'0' | b'1')).map(drop)
            }
            b'@' => {
                self.next();
                self.number(false)
            }
            b'%' => self.display_string(),
            _ => None,
        }
    }

    /// An integer, or a decimal where there may be one.
    fn number(&mut self, may_be_decimal: bool) -> Option<()> {
        if self.0.first() == Some(&b'-') {
            self.next();
        }
        let whole = self.take_while(|byte| byte.is_ascii_digit()).len();
        if !may_be_decimal || self.0.first() != Some(&b'.') {
            return (1..=15).contains(&whole).then_some(());
        }
        self.next();
        let fraction = self.take_while(|byte| byte.is_ascii_digit()).len();
        ((1..=12).contains(&whole) && (1..=3).contains(&fraction)).then_some(())
    }

    fn display_string(&mut self) -> Option<()> {
        self.expect(b'%')?;
        self.expect(b'"')?;
        let mut bytes = Vec::new();
        loop {
            match self.next()? {
                b'"' => return std::str::from_utf8(&bytes).ok().map(drop),
                b'%' => {
                    let (high, low) = (hex(self.next()?)?, hex(self.next()?)?);
                    bytes.push(high << 4 | low);
                }
                byte @ b' '..=b'~' => bytes.push(byte),
                _ => return None,
            }
        }
    }
}

/// In lower case only (RFC 9651 §4.2.10).
fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(field: &str) -> Option<Vec<String>> {
        strings([field.as_bytes()].into_iter())
    }

    #[test]
    fn strings_are_read_with_what_is_escaped_and_without_parameters() {
        let field = r#"  "a b" ,	"\"\\";x;*y=1;z="; \",";a-b.c=tok/en:x ,"" ;"#;
        assert_eq!(read(field.trim_end_matches(" ;")), Some(vec!["a b".into(), "\"\\".into(), String::new()]));
        for parameter in ["-1", "123456789012.345", ":aGk=:", "?0", "@-12", "%\"f%c3%bc\"", "*t", "\"\""] {
            assert_eq!(read(&format!("\"a\";p={parameter}")), Some(vec!["a".into()]), "{parameter}");
        }
        assert_eq!(read(""), Some(vec![]));
        assert_eq!(read("  "), Some(vec![]));
        let lines = [&b"\"a\", \"b\""[..], b"\"c\""];
        assert_eq!(strings(lines.into_iter()), Some(vec!["a".into(), "b".into(), "c".into()]));
    }

    #[test]
    fn what_is_no_list_of_strings_is_nothing() {
        for field in [
            "a",
            "1",
            "\"a",
            "\"a\",",
            ",\"a\"",
            "\"a\" \"b\"",
            "\"a\",,\"b\"",
            "(\"a\")",
            "\"a\", b",
            "\"\\a\"",
            "\"\\",
            "\"ä\"",
            "\"\t\"",
            "\"a\";",
            "\"a\";A",
            "\"a\";a=",
            "\"a\";a=-",
            "\"a\";a=1.",
            "\"a\";a=1.2345",
            "\"a\";a=1234567890123456",
            "\"a\";a=@1.5",
            "\"a\";a=?2",
            "\"a\";a=:x",
            "\"a\";a=%\"%FF\"",
            "\"a\";a=%\"%ff\"",
            "\"a\";a=(",
            "\"a\" ;a",
            "\"a\"; a =1",
            "\t\"a\"",
            "?1",
            ":aGk=:",
        ] {
            assert_eq!(read(field), None, "{field}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_and_what_it_reads_it_reads_again(lines in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "[ -~]{0,40}".prop_map(String::into_bytes),
                "[\" \\\\,;a=1.?@:%*()-]{0,40}".prop_map(String::into_bytes),
            ], 0..4)) {
            let Some(read) = strings(lines.iter().map(Vec::as_slice)) else { return Ok(()) };
            prop_assert_eq!(strings([written(&read).as_bytes()].into_iter()), Some(read));
        }

        #[test]
        fn what_is_written_is_read(list in prop::collection::vec("[ -~]{0,20}", 0..5)) {
            prop_assert_eq!(strings([written(&list).as_bytes()].into_iter()), Some(list));
        }
    }

    fn written(list: &[String]) -> String {
        let quoted = |text: &String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        list.iter().map(quoted).collect::<Vec<_>>().join(", ")
    }
}
