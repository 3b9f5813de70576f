//! What is stored: one atomic unit of metadata and payload, live in memory and bytes outside.
//!
//! ```text
//! bytes := "axc" version kind  nonce (u64)  head length (u32)  head  body
//! ```
//!
//! Numbers are little endian. What comes before the head length is the token of the record, by which it is told from all
//! others. In the place of the head length an envelope has a number that is none (`value/enveloped.rs`).
//! The head is small and length-checked; the body is a raw slice and read back without a copy. Bytes come from a
//! backend and may be anything: whatever is not exactly a record is an error, which counts as a miss.

mod carried;
mod remade;

use std::{any::Any, fmt, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

pub(crate) use self::{
    carried::{Carried, Hold, Home, MAX_CARRIED, TagStamps},
    remade::{remade, token},
};
use crate::{
    error::{Error, ErrorKind, Result},
    value::{ENDED, LEASE, Live, MAGIC, TOKEN, VERSION, Value, enveloped},
};

const PREFIX: usize = TOKEN + 4;

/// When a record may be used, and what tells it from others. All times are UNIX milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// When the origin made it, so that its age counts from there.
    pub(crate) created: u64,
    pub(crate) fresh_until: u64,
    /// May be served while it is refreshed, until then.
    pub(crate) stale_until: u64,
    /// May be served if the origin fails, until then.
    pub(crate) error_until: u64,
    /// Never comes back: names this record and the variants that hang on it. In bytes it is a part of the token.
    #[serde(skip)]
    pub(crate) nonce: u64,
    /// How long the fill took, in milliseconds.
    pub(crate) took: u32,
    /// The text behind the digests of the key.
    pub(crate) digested: Option<Box<str>>,
    /// What it depends on beside its namespace.
    pub(crate) carried: Box<[Carried]>,
    /// The stamp of the namespace when the fill began. It has no meaning outside this process and stays there.
    #[serde(skip)]
    pub(crate) namespace: u64,
}

impl Meta {
    /// Of what has none: the backend alone knows when it ends.
    fn plain() -> Self {
        Self {
            created: 0,
            fresh_until: u64::MAX,
            stale_until: u64::MAX,
            error_until: u64::MAX,
            nonce: 0,
            took: 0,
            digested: None,
            carried: Box::default(),
            namespace: 0,
        }
    }
}

/// What a record carries.
pub(crate) trait Payload: fmt::Debug + Send + Sync + Sized + 'static {
    /// Tells one sort of payload from another in the stored bytes.
    const KIND: u8;
    type Head: Serialize + for<'de> Deserialize<'de>;

    fn encode(&self) -> Result<(Self::Head, Bytes)>;
    fn decode(head: Self::Head, body: Bytes) -> Result<Self>;
    /// About how many bytes of memory the payload takes beside itself.
    fn weight(&self) -> usize;
    /// The same payload for another record.
    fn again(&self) -> Self;
    /// Whether others of its kind can hang on the same key.
    fn has_variants() -> bool;

    /// The integer, if it is nothing else: then it is stored plain.
    fn as_integer(&self) -> Option<i64> {
        None
    }

    fn from_integer(_: i64) -> Option<Self> {
        None
    }
}

#[derive(Debug)]
pub(crate) struct Record<P> {
    pub(crate) meta: Meta,
    pub(crate) payload: P,
}

impl<P: Payload> Record<P> {
    pub(crate) fn into_value(self: Arc<Self>) -> Value {
        // A plain integer has no room for the text behind a digest.
        match self.payload.as_integer().filter(|_| self.meta.digested.is_none()) {
            Some(integer) => Value::integer(integer),
            None => Value::live(self),
        }
    }

    /// Whether the key of this text is the one that it was stored under.
    #[inline]
    pub(crate) fn belongs_to(&self, digested: &str) -> bool {
        match &self.meta.digested {
            None => digested.is_empty(),
            Some(own) => **own == *digested,
        }
    }

    /// The record in a value: the live object itself, or what its bytes say.
    #[inline]
    pub(crate) fn from_value(value: Value) -> Result<Arc<Self>> {
        value.downcast::<Self>().or_else(|value| Self::from_other(&value))
    }

    /// The record in a value that is not the live object itself; out of the way of hits.
    #[inline(never)]
    pub(crate) fn from_other(value: &Value) -> Result<Arc<Self>> {
        match value.as_integer().and_then(P::from_integer) {
            Some(payload) => Ok(Arc::new(Self { meta: Meta::plain(), payload })),
            None => {
                let record = Arc::new(Self::from_bytes(&value.to_bytes()?)?);
                value.remember(&record);
                Ok(record)
            }
        }
    }

    fn from_bytes(bytes: &Bytes) -> Result<Self> {
        let (prefix, rest) = bytes.split_at_checked(PREFIX).ok_or_else(|| wrong("too short"))?;
        let ([m0, m1, m2, version, kind], rest_of_prefix) =
            prefix.split_first_chunk().ok_or_else(|| wrong("too short"))?;
        let (nonce, length) = rest_of_prefix.split_first_chunk().ok_or_else(|| wrong("too short"))?;
        if [*m0, *m1, *m2] != *MAGIC {
            return Err(wrong("not written by this crate"));
        }
        if let Some(why) = enveloped::why_unread(bytes) {
            return Err(wrong(why));
        }
        if *version != VERSION {
            return Err(wrong(format!("version {version}, expected {VERSION}")));
        }
        if *kind != P::KIND {
            return Err(wrong(format!("entry of kind {kind}, expected kind {}", P::KIND)));
        }
        let length: [u8; 4] = length.try_into().map_err(|_| wrong("too short"))?;
        let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| wrong("head too long"))?;
        let (head, _) = rest.split_at_checked(length).ok_or_else(|| wrong("head cut off"))?;
        let (meta, head, body_length) = match postcard::take_from_bytes::<(Meta, P::Head, u64)>(head) {
            Ok(((meta, head, length), [])) => (Meta { nonce: u64::from_le_bytes(*nonce), ..meta }, head, length),
            Ok(_) => return Err(wrong("bytes left over in the head")),
            Err(error) => return Err(wrong(error.to_string())),
        };
        let body = bytes.slice(PREFIX + length..);
        if body.len() as u64 != body_length {
            return Err(wrong(format!("body of {} bytes, expected {body_length}", body.len())));
        }
        Ok(Self { meta, payload: P::decode(head, body)? })
    }
}

/// The kind of a cached response, and of a memoized result.
pub(crate) const RESPONSE: u8 = b'r';
pub(crate) const MEMO: u8 = b'm';

/// What the bytes of a record or a lease begin with; no two have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token([u8; TOKEN]);

impl Token {
    /// `None` of what is neither.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value.as_bytes() {
            Some(bytes) => Self::read(bytes),
            // An object, as a tier in memory hands it out.
            None => Self::read(&value.to_bytes().ok()?),
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let token = bytes.first_chunk::<TOKEN>()?;
        (token.starts_with(MAGIC) && token[MAGIC.len()] == VERSION).then_some(Self(*token))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn is_lease(self) -> bool {
        [LEASE, ENDED].contains(&self.0[MAGIC.len() + 1])
    }

    /// Whether it is a lease whose run has not ended, as far as anybody said.
    pub(crate) fn is_held(self) -> bool {
        self.0[MAGIC.len() + 1] == LEASE
    }

    /// What is left of a lease whose run has ended without an entry. It is stored over that lease and nothing else, so
    /// that where it is nothing has happened since.
    pub(crate) fn ended(mut self) -> Self {
        self.0[MAGIC.len() + 1] = ENDED;
        self
    }

    /// Whether nothing has happened to the slot that had this token, and has that one now.
    pub(crate) fn is_untouched_in(self, now: Self) -> bool {
        now == self || (self.is_held() && now == self.ended())
    }

    pub(crate) fn into_value(self) -> Value {
        Value::from_bytes(Bytes::copy_from_slice(&self.0))
    }
}

/// A new lease.
pub(crate) fn lease(nonce: u64) -> Value {
    let mut bytes = BytesMut::with_capacity(TOKEN);
    bytes.put_slice(MAGIC);
    bytes.put_u8(VERSION);
    bytes.put_u8(LEASE);
    bytes.put_u64_le(nonce);
    Value::from_bytes(bytes)
}

pub(crate) fn is_lease(value: &Value) -> bool {
    value.as_bytes().and_then(Token::read).is_some_and(Token::is_lease)
}

/// Whether a value is something that only another reader can judge: a cached response, or a memoized result.
pub(crate) fn is_of_another_reader(value: &Value) -> bool {
    let kind = value.live_kind().or_else(|| {
        let prefix = value.as_bytes()?.get(..PREFIX)?;
        let is_whole = prefix.starts_with(MAGIC) && prefix[MAGIC.len()] == VERSION;
        // What is in an envelope that was not opened nobody can read.
        (is_whole && enveloped::why_unread(prefix).is_none()).then(|| prefix[MAGIC.len() + 1])
    });
    matches!(kind, Some(RESPONSE | MEMO))
}

/// As it is written: what is longer would be taken for an envelope.
fn length_of_head(length: usize) -> Result<u32> {
    let length = u32::try_from(length).ok().filter(|length| *length < enveloped::FIRST);
    length.ok_or_else(|| Error::message(ErrorKind::TooLarge, "head of nearly 4 GiB"))
}

fn wrong(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::message(ErrorKind::Decode, what)
}

/// The memory one stamp that is carried takes, with the text of a tag that others carry too.
const CARRIED: usize = size_of::<Carried>() + 32;

impl<P: Payload> Live for Record<P> {
    fn kind(&self) -> u8 {
        P::KIND
    }

    fn encode(&self) -> Result<Bytes> {
        let (head, body) = self.payload.encode()?;
        let head = postcard::to_allocvec(&(&self.meta, head, body.len() as u64))
            .map_err(|error| Error::new(ErrorKind::Encode, error))?;
        let length = length_of_head(head.len())?;
        let mut bytes = BytesMut::with_capacity(PREFIX + head.len() + body.len());
        bytes.put_slice(MAGIC);
        bytes.put_u8(VERSION);
        bytes.put_u8(P::KIND);
        bytes.put_u64_le(self.meta.nonce);
        bytes.put_u32_le(length);
        bytes.put_slice(&head);
        bytes.put_slice(&body);
        Ok(bytes.freeze())
    }

    fn weight(&self) -> usize {
        let meta = self.meta.digested.as_deref().map_or(0, str::len) + self.meta.carried.len() * CARRIED;
        size_of::<Self>() + 16 + meta + self.payload.weight()
    }

    fn remade(&self, change: &mut dyn FnMut(&mut dyn Any) -> bool) -> Option<Value> {
        let mut meta = self.meta.clone();
        change(&mut meta).then(|| Value::live(Arc::new(Self { meta, payload: self.payload.again() })))
    }
}

/// A value of the user's: an integer, or what the codec wrote.
#[derive(Clone, Debug)]
pub(crate) enum Encoded {
    Integer(i64),
    Bytes(Bytes),
}

impl Payload for Encoded {
    const KIND: u8 = b'v';
    type Head = ();

    fn encode(&self) -> Result<((), Bytes)> {
        Ok(match self {
            Self::Bytes(bytes) => ((), bytes.clone()),
            Self::Integer(integer) => ((), Bytes::from(integer.to_string())),
        })
    }

    fn decode((): (), body: Bytes) -> Result<Self> {
        Ok(Self::Bytes(body))
    }

    fn weight(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len() + 32,
            Self::Integer(_) => 0,
        }
    }

    fn again(&self) -> Self {
        self.clone()
    }

    fn has_variants() -> bool {
        false
    }

    fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(integer) => Some(*integer),
            Self::Bytes(_) => None,
        }
    }

    fn from_integer(integer: i64) -> Option<Self> {
        Some(Self::Integer(integer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record<Encoded> {
        let meta = Meta {
            created: 1,
            fresh_until: 2,
            stale_until: 2,
            error_until: 2,
            nonce: 3,
            took: 4,
            digested: Some("a=1".into()),
            carried: [Carried::Tag { key: "t".into(), was: TagStamps { hard: 5, soft: 6 }, home: Home::Here }].into(),
            namespace: 0,
        };
        Record { meta, payload: Encoded::Bytes(Bytes::from_static(b"body")) }
    }

    #[test]
    fn a_record_comes_back_from_its_bytes() {
        let bytes = record().encode().expect("encodes");
        let back = Record::<Encoded>::from_value(Value::from_bytes(bytes)).expect("decodes");
        assert_eq!(back.meta, record().meta);
        assert!(matches!(&back.payload, Encoded::Bytes(bytes) if bytes == "body"));
    }

    #[test]
    fn the_bytes_of_version_one_do_not_change() {
        let golden = b"axc\x01v\x03\0\0\0\0\0\0\0\x10\0\0\0\x01\x02\x02\x02\x04\x01\x03a=1\x01\x01t\x05\x06\x04body";
        assert_eq!(record().encode().expect("encodes"), &golden[..]);
    }

    #[test]
    fn no_bytes_but_a_whole_record_are_one() {
        let whole = record().encode().expect("encodes");
        let read = |bytes: Bytes| Record::<Encoded>::from_value(Value::from_bytes(bytes)).map(drop);
        for length in 0..whole.len() {
            assert_eq!(read(whole.slice(..length)).expect_err("cut off").kind(), ErrorKind::Decode);
        }
        for index in (0..PREFIX).filter(|index| !(5..TOKEN).contains(index)) {
            let mut broken = whole.to_vec();
            broken[index] ^= 0x55;
            assert!(read(broken.into()).is_err(), "byte {index}");
        }
        let mut longer = whole.to_vec();
        longer.push(0);
        assert!(read(longer.into()).is_err());
    }
}
