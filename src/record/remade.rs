//! The same payload with other metadata, for those who do not know what the payload is.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Error, ErrorKind, MAGIC, Meta, PREFIX, Result, TOKEN, VERSION, length_of_head, wrong};
use crate::value::{Value, enveloped};

/// The record in a value, with what `change` makes of its metadata; `None` if it is no record, as an integer is none,
/// or if `change` refuses.
pub(crate) fn remade(value: &Value, mut change: impl FnMut(&mut Meta) -> bool) -> Result<Option<Value>> {
    let mut change = |meta: &mut Meta| change(meta);
    match value.remade(&mut |meta| meta.downcast_mut().is_some_and(&mut change)) {
        Some(remade) => Ok(remade),
        None if value.as_integer().is_some() => Ok(None),
        None => from_bytes(&value.to_bytes()?, change),
    }
}

/// What the bytes of this record begin with, and those of no other that was ever stored under its key: its times and
/// its nonce are in it.
pub(crate) fn token(value: &Value) -> Result<Bytes> {
    let bytes = value.to_bytes()?;
    let (length, _) = head(&bytes)?;
    Ok(bytes.slice(..PREFIX + length))
}

fn from_bytes(bytes: &Bytes, mut change: impl FnMut(&mut Meta) -> bool) -> Result<Option<Value>> {
    let (length, head) = head(bytes)?;
    let (mut meta, payload) = postcard::take_from_bytes::<Meta>(head).map_err(|error| wrong(error.to_string()))?;
    let nonce = MAGIC.len() + 2..TOKEN;
    meta.nonce = bytes[nonce.clone()].try_into().map(u64::from_le_bytes).map_err(|_| wrong("too short"))?;
    if !change(&mut meta) {
        return Ok(None);
    }
    let changed = meta.nonce;
    let meta = postcard::to_allocvec(&meta).map_err(|error| Error::new(ErrorKind::Encode, error))?;
    let new = length_of_head(meta.len() + payload.len())?;
    let body = &bytes[PREFIX + length..];
    let mut remade = BytesMut::with_capacity(PREFIX + meta.len() + payload.len() + body.len());
    remade.put_slice(&bytes[..nonce.start]);
    remade.put_u64_le(changed);
    remade.put_u32_le(new);
    for part in [&meta, payload, body] {
        remade.put_slice(part);
    }
    Ok(Some(Value::from_bytes(remade.freeze())))
}

/// The length of the head, and the head.
fn head(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let (prefix, rest) = bytes.split_at_checked(PREFIX).ok_or_else(|| wrong("too short"))?;
    if !prefix.starts_with(MAGIC) || prefix[MAGIC.len()] != VERSION {
        return Err(wrong("not written by this version"));
    }
    if let Some(why) = enveloped::why_unread(bytes) {
        return Err(wrong(why));
    }
    let length: [u8; 4] = prefix[PREFIX - 4..].try_into().map_err(|_| wrong("too short"))?;
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| wrong("head too long"))?;
    let head = rest.get(..length).ok_or_else(|| wrong("head cut off"))?;
    Ok((length, head))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::{Encoded, Record},
        *,
    };

    fn record() -> Value {
        let meta = Meta { created: 1, fresh_until: 2, nonce: u64::MAX, digested: Some("a=1".into()), ..Meta::plain() };
        Arc::new(Record { meta, payload: Encoded::Bytes(Bytes::from_static(b"body")) }).into_value()
    }

    fn doubled(meta: &mut Meta) -> bool {
        meta.nonce = 1;
        meta.fresh_until *= 2;
        true
    }

    #[test]
    fn a_record_is_remade_alike_as_an_object_and_as_bytes_and_its_token_is_its_own() {
        let live = record();
        let bytes = Value::from_bytes(live.to_bytes().expect("encodes"));
        let remade = |value| remade(value, doubled).expect("a record").expect("changed").to_bytes().expect("encodes");
        assert_eq!(remade(&live), remade(&bytes));
        let back = Record::<Encoded>::from_value(Value::from_bytes(remade(&bytes))).expect("decodes");
        assert_eq!((back.meta.nonce, back.meta.fresh_until), (1, 4));
        assert!(matches!(&back.payload, Encoded::Bytes(body) if body == "body"));

        let token = token(&bytes).expect("a record");
        assert!(bytes.to_bytes().expect("bytes").starts_with(&token));
        assert!(!remade(&bytes).starts_with(&token));
    }

    #[test]
    fn what_is_no_record_is_not_remade() {
        let whole = record().to_bytes().expect("encodes");
        for length in 0..whole.len() {
            let cut = Value::from_bytes(whole.slice(..length));
            let remade = remade(&cut, doubled);
            // A body that is cut off is found out by those who read it.
            assert_eq!(remade.is_err(), length < whole.len() - 4, "{length}");
            assert_eq!(token(&cut).is_err(), length < whole.len() - 4, "{length}");
        }
        assert!(remade(&Value::integer(7), doubled).expect("no error").is_none());
        assert!(remade(&record(), |_| false).expect("no error").is_none());
    }
}
