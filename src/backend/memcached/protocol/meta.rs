//! The meta commands of the text protocol (memcached 1.6 and later).

use std::{fmt::Write as _, num::NonZeroU64};

use bytes::{Buf, BytesMut};

use super::{About, Left, MAX_LINE, Mode, Reply, Stored, WireKey, broken, quoted, take};
use crate::error::Result;

pub(super) fn get(key: WireKey<'_>, value: bool, out: &mut BytesMut) {
    out.extend_from_slice(b"mg ");
    key.write(out);
    out.extend_from_slice(if value { b" c f t v\r\n" } else { b" c f t\r\n" });
}

pub(super) fn set(key: WireKey<'_>, mode: Mode, stored: &Stored<'_>, out: &mut BytesMut) {
    let size = stored.head.len() + stored.body.len();
    out.reserve(key.len() + size + 80);
    out.extend_from_slice(b"ms ");
    key.write(out);
    // A `BytesMut` grows, so that writing to it does not fail.
    let _ = write!(out, " {size} T{} F{}", stored.expires, stored.flags);
    let _ = match mode {
        Mode::Always => Ok(()),
        Mode::IfAbsent => write!(out, " ME"),
        Mode::IfStill(cas) => write!(out, " C{cas}"),
    };
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(stored.head);
    out.extend_from_slice(stored.body);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn delete(key: WireKey<'_>, cas: Option<NonZeroU64>, out: &mut BytesMut) {
    out.extend_from_slice(b"md ");
    key.write(out);
    let _ = cas.map_or(Ok(()), |cas| write!(out, " C{cas}"));
    out.extend_from_slice(b"\r\n");
}

/// A server with `-Y` takes the first `set`, whatever its key and its ttl, for who asks. One without it stores: under a key
/// of ours, and what is over by then, so that nobody gets the password.
pub(super) fn log_in(username: &str, password: &str, out: &mut BytesMut) {
    let _ =
        write!(out, "set ~axum-caching/auth 0 -1 {}\r\n{username} {password}\r\n", username.len() + 1 + password.len());
}

#[derive(Debug)]
pub(in super::super) struct Decoder {
    limit: usize,
    /// The head of a value whose bytes are not there yet.
    value: Option<(About, usize)>,
    /// So many bytes of the line were looked at.
    seen: usize,
}

impl Decoder {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, value: None, seen: 0 }
    }

    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Reply>> {
        if self.value.is_none() {
            let Some(end) = self.line(input)? else { return Ok(None) };
            let line = input.split_to(end);
            input.advance(2);
            match read_line(&line)? {
                Line::Reply(reply) => return Ok(Some(reply)),
                Line::Value(about, size) if size <= self.limit => self.value = Some((about, size)),
                Line::Value(_, size) => {
                    return Err(broken(format!("a value of {size} bytes, expected {} at most", self.limit)));
                }
            }
        }
        let Some((about, size)) = self.value else { return Ok(None) };
        if input.len() < size + 2 {
            return Ok(None);
        }
        if &input[size..size + 2] != b"\r\n" {
            return Err(broken("a value that does not end where it should"));
        }
        self.value = None;
        let bytes = take(input, size);
        input.advance(2);
        Ok(Some(Reply::Value(about, bytes)))
    }

    /// Where the first line ends, if it is there whole.
    fn line(&mut self, input: &BytesMut) -> Result<Option<usize>> {
        // The last byte that was seen may be the `\r` of this end.
        let from = self.seen.saturating_sub(1).min(input.len());
        if let Some(at) = input[from..].windows(2).position(|pair| pair == b"\r\n") {
            self.seen = 0;
            if from + at > MAX_LINE {
                return Err(broken(format!("a line of {} bytes, expected {MAX_LINE} at most", from + at)));
            }
            return Ok(Some(from + at));
        }
        self.seen = input.len();
        // One more than a line may have: its `\r`.
        if self.seen > MAX_LINE + 1 {
            return Err(broken(format!("a line of more than {MAX_LINE} bytes: \"{}..\"", quoted(input))));
        }
        Ok(None)
    }
}

enum Line {
    Reply(Reply),
    Value(About, usize),
}

fn read_line(line: &[u8]) -> Result<Line> {
    let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let reply = match words.next().unwrap_or_default() {
        b"VA" => {
            let size = words.next().and_then(number);
            let size = size.and_then(|size: u64| usize::try_from(size).ok());
            let size = size.ok_or_else(|| broken(format!("\"{}\", expected the size of a value", quoted(line))))?;
            return Ok(Line::Value(about(words, line)?, size));
        }
        b"HD" => Reply::Done(about(words, line)?),
        b"STORED" => Reply::Done(About::default()),
        b"EN" | b"NF" => Reply::Absent,
        b"NS" | b"EX" => Reply::Refused,
        b"SERVER_ERROR"
            if line.ends_with(b"too large for cache") || line.ends_with(b"out of memory storing object") =>
        {
            Reply::TooLarge(quoted(line))
        }
        b"SERVER_ERROR" => Reply::Failed(quoted(line)),
        b"CLIENT_ERROR" | b"ERROR" => Reply::Broken(quoted(line)),
        _ => return Err(broken(format!("\"{}\", expected an answer to a meta command", quoted(line)))),
    };
    Ok(Line::Reply(reply))
}

/// What was asked about a value; what was not is skipped.
fn about<'a>(words: impl Iterator<Item = &'a [u8]>, line: &[u8]) -> Result<About> {
    let mut about = About::default();
    for word in words {
        let (name, text) = word.split_first().unwrap_or((&b' ', &[]));
        let is_read = match name {
            b'c' => number(text).map(|cas| about.cas = cas),
            b'f' => number(text).and_then(|flags| u32::try_from(flags).ok()).map(|flags| about.flags = flags),
            b't' if text == b"-1" => {
                about.left = Left::Forever;
                Some(())
            }
            // More than fits is long enough.
            b't' => number(text).map(|left| about.left = Left::Seconds(u32::try_from(left).unwrap_or(u32::MAX))),
            _ => Some(()),
        };
        if is_read.is_none() {
            return Err(broken(format!("\"{}\", expected numbers after c, f and t", quoted(line))));
        }
    }
    Ok(about)
}

fn number(text: &[u8]) -> Option<u64> {
    let is_number = text.first().is_some_and(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok()
}
