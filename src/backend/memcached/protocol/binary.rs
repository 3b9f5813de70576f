//! The binary protocol: a head of 24 bytes, and what it says comes after it.

use std::num::NonZeroU64;

use bytes::{Buf, BufMut, BytesMut};

use super::{About, Left, MAX_LINE, Mode, Reply, Stored, WireKey, broken, quoted, take};
use crate::error::Result;

const REQUEST: u8 = 0x80;
const RESPONSE: u8 = 0x81;

const GET: u8 = 0x00;
const SET: u8 = 0x01;
const ADD: u8 = 0x02;
const DELETE: u8 = 0x04;
const SASL_AUTH: u8 = 0x21;

const HEAD: usize = 24;

fn head(operation: u8, key: usize, extras: u8, body: usize, cas: u64, out: &mut BytesMut) {
    out.put_u8(REQUEST);
    out.put_u8(operation);
    // A key has 250 bytes at the most, and a body is under the limit of an item.
    out.put_u16(u16::try_from(key).unwrap_or(u16::MAX));
    out.put_u8(extras);
    out.put_bytes(0, 3);
    out.put_u32(u32::try_from(usize::from(extras) + key + body).unwrap_or(u32::MAX));
    out.put_u32(0);
    out.put_u64(cas);
}

pub(super) fn get(key: WireKey<'_>, out: &mut BytesMut) {
    head(GET, key.len(), 0, 0, 0, out);
    key.write(out);
}

pub(super) fn set(key: WireKey<'_>, mode: Mode, stored: &Stored<'_>, out: &mut BytesMut) {
    let size = stored.head.len() + stored.body.len();
    out.reserve(HEAD + 8 + key.len() + size);
    let (operation, cas) = match mode {
        Mode::Always => (SET, 0),
        Mode::IfAbsent => (ADD, 0),
        Mode::IfStill(cas) => (SET, cas),
    };
    head(operation, key.len(), 8, size, cas, out);
    out.put_u32(stored.flags);
    out.put_u32(stored.expires);
    key.write(out);
    out.extend_from_slice(stored.head);
    out.extend_from_slice(stored.body);
}

pub(super) fn delete(key: WireKey<'_>, cas: Option<NonZeroU64>, out: &mut BytesMut) {
    head(DELETE, key.len(), 0, 0, cas.map_or(0, NonZeroU64::get), out);
    key.write(out);
}

/// SASL PLAIN (RFC 4616), in one step.
pub(super) fn log_in(username: &str, password: &str, out: &mut BytesMut) {
    let mechanism = b"PLAIN";
    head(SASL_AUTH, mechanism.len(), 0, username.len() + password.len() + 2, 0, out);
    out.extend_from_slice(mechanism);
    out.put_u8(0);
    out.extend_from_slice(username.as_bytes());
    out.put_u8(0);
    out.extend_from_slice(password.as_bytes());
}

#[derive(Debug)]
pub(in super::super) struct Decoder {
    limit: usize,
}

impl Decoder {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit }
    }

    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Reply>> {
        if input.first().is_some_and(|&magic| magic != RESPONSE) {
            return Err(broken(format!("\"{}\", expected an answer of the binary protocol", quoted(input))));
        }
        if input.len() < HEAD {
            return Ok(None);
        }
        let mut head = &input[..HEAD];
        let _magic = head.get_u8();
        let operation = head.get_u8();
        let (key, extras) = (usize::from(head.get_u16()), usize::from(head.get_u8()));
        let _type = head.get_u8();
        let status = head.get_u16();
        let total = usize::try_from(head.get_u32()).unwrap_or(usize::MAX);
        let _opaque = head.get_u32();
        let cas = head.get_u64();
        // A value, its flags, and a key that nobody asked for.
        let limit = self.limit.saturating_add(MAX_LINE);
        if total > limit || key + extras > total {
            return Err(broken(format!("an answer of {total} bytes, expected {limit} at most")));
        }
        if input.len() < HEAD + total {
            return Ok(None);
        }
        input.advance(HEAD);
        let flags = if extras >= 4 { (&input[..4]).get_u32() } else { 0 };
        input.advance(extras + key);
        let body = take(input, total - key - extras);
        let about = About { cas, flags, left: Left::Unknown };
        Ok(Some(match (operation, status) {
            (GET, 0) => Reply::Value(about, body),
            (_, 0) => Reply::Done(about),
            (_, 0x01) => Reply::Absent,
            (_, 0x02 | 0x05) => Reply::Refused,
            (_, 0x03 | 0x82) => Reply::TooLarge(quoted(&body)),
            // Auth failure, unknown command, invalid arguments.
            (_, 0x04 | 0x20 | 0x21 | 0x81) => Reply::Broken(quoted(&body)),
            _ => Reply::Failed(quoted(&body)),
        }))
    }
}
