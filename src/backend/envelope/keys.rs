//! Encryption and authentication: XChaCha20-Poly1305, whose nonces are long enough to be drawn at random.

use std::{fmt, sync::Arc};

use bytes::BufMut;
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha256};

use super::frame::{Frame, KeyId, Nonce};
use crate::{
    error::{Error, ErrorKind, Result},
    value::enveloped::Refusal,
};

/// What is authenticated begins with this, so that nothing that is sealed for something else is taken for an entry.
const DOMAIN: &[u8] = b"axum-caching envelope\0";
const KEY_ID_DOMAIN: &[u8] = b"axum-caching envelope key id\0";

const EXPECTED: &str = "32 random bytes as base64 (44 characters, as `openssl rand -base64 32` prints them) or as 64 \
                        hexadecimal digits";

const TAG: usize = 16;

/// The keys of an [`Envelope`](crate::Envelope): the first one seals what is written, all of them open what is read.
///
/// A key is 32 random bytes, and no password: `openssl rand -base64 32` makes one. An entry says which key it is sealed
/// with, by a number that is made of the key (the beginning of a SHA-256) and does not give it away. `Debug` shows these
/// numbers and no keys. The ring overwrites its keys when the last clone of it is dropped.
///
/// # Rotation
///
/// Where several processes share a backend, each of them has to be able to read before any of them writes: give all of
/// them the new key [behind](KeyRing::also_read) the old one, then all of them the new one first, and leave the old one
/// out once what was written with it has expired. An entry whose key is gone is a miss, and filled again. Encryption is
/// turned on at once; until all processes have it, those without fill anew what those with it have filled, and the other way
/// round.
///
/// ```
/// # #[cfg(feature = "memory")]
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{Cache, Envelope, KeyRing, MemoryBackend, Ttl};
///
/// let server = MemoryBackend::default(); // in place of one that processes share
/// let over = |keys| Cache::new(Envelope::builder(server.clone()).keys(keys).build());
/// let (old, new) = ([1; 32], [2; 32]); // in place of random ones
///
/// over(KeyRing::new(old)).set("old", "text", Ttl::Default).await?;
/// let both = over(KeyRing::new(new).also_read(old));
/// both.set("new", "text", Ttl::Default).await?;
/// assert_eq!(both.get::<String>("old").await?.as_deref(), Some("text"));
///
/// let later = over(KeyRing::new(new));
/// assert_eq!(later.get::<String>("new").await?.as_deref(), Some("text"));
/// assert_eq!(later.get::<String>("old").await?, None);
/// # Ok::<(), axum_caching::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
#[must_use = "give it to `EnvelopeBuilder::keys`"]
pub struct KeyRing(Arc<[Key]>);

#[derive(Clone)]
struct Key {
    id: KeyId,
    /// It has the key, and overwrites it when it is dropped.
    cipher: XChaCha20Poly1305,
}

impl Key {
    fn new(key: &[u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(KEY_ID_DOMAIN).chain_update(key).finalize();
        Self { id: first_eight(&digest), cipher: XChaCha20Poly1305::new(key.into()) }
    }
}

impl KeyRing {
    /// A ring of one key.
    ///
    /// ```
    /// use axum_caching::KeyRing;
    ///
    /// let keys = KeyRing::new([7; 32]); // in place of random bytes
    /// assert!(!format!("{keys:?}").contains("7, 7"));
    /// ```
    pub fn new(key: [u8; 32]) -> Self {
        Self([Key::new(&key)].into())
    }

    /// With one more key, behind the others, which opens what it has sealed and seals nothing.
    ///
    /// ```
    /// use axum_caching::KeyRing;
    ///
    /// let keys = KeyRing::new([1; 32]).also_read([2; 32]).also_read([3; 32]);
    /// assert_eq!(format!("{keys:?}").matches("..").count(), 0, "nothing is left out");
    /// ```
    pub fn also_read(self, key: [u8; 32]) -> Self {
        Self(self.0.iter().cloned().chain([Key::new(&key)]).collect())
    }

    /// Keys as texts, as a configuration has them: base64, with or without its padding and in either alphabet, or
    /// hexadecimal digits. Blanks around them do not count.
    ///
    /// ```
    /// use axum_caching::{ErrorKind, KeyRing};
    ///
    /// let hexadecimal = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    /// let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    /// let bytes = std::array::from_fn(|n| u8::try_from(n).unwrap());
    /// let keys = KeyRing::parse([base64, hexadecimal])?;
    /// assert_eq!(format!("{keys:?}"), format!("{:?}", KeyRing::new(bytes).also_read(bytes)));
    ///
    /// let error = KeyRing::parse(["hunter2"]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// assert!(error.to_string().contains("32 random bytes as base64"));
    /// assert!(!error.to_string().contains("hunter2"));
    /// # Ok::<(), axum_caching::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if there is none, or one of them is none. The text says which one
    /// and what was expected, and never what it is.
    pub fn parse(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self> {
        let keys = texts.into_iter().enumerate().map(|(at, text)| match read(text.as_ref().trim()) {
            Some(key) => Ok(key),
            None => Err(wrong(format!("key {} of the key ring is none: expected {EXPECTED}", at + 1))),
        });
        let keys: Arc<[Key]> = keys.collect::<Result<_>>()?;
        if keys.is_empty() {
            return Err(wrong(format!("the key ring is empty: expected a key, {EXPECTED}")));
        }
        Ok(Self(keys))
    }

    /// The key that it writes with, and a nonce, of which there are so many that no two meet.
    pub(super) fn next(&self) -> Result<(KeyId, Nonce)> {
        let mut nonce = Nonce::default();
        match getrandom::fill(&mut nonce) {
            Ok(()) => Ok((self.0[0].id, nonce)),
            Err(error) => {
                Err(Error::message(ErrorKind::Encode, format!("the operating system has no random bytes: {error}")))
            }
        }
    }

    pub(super) fn has(&self, id: KeyId) -> bool {
        self.0.iter().any(|key| key.id == id)
    }

    /// What stands before the content, and the content sealed with its key for an entry under this name.
    pub(super) fn seal(&self, name: &str, frame: &Frame, content: &[u8]) -> Result<Vec<u8>> {
        let failed = || Error::message(ErrorKind::Encode, "the value cannot be encrypted");
        let (key, nonce) = self.of(frame).ok_or_else(failed)?;
        let mut stored = Vec::with_capacity(frame.len() + content.len() + TAG);
        frame.write(&mut stored);
        stored.put_slice(content);
        let content = &mut stored[frame.len()..];
        let tag = key.cipher.encrypt_inout_detached(&nonce.into(), &authenticated(name, frame), content.into());
        stored.put_slice(&tag.map_err(|_| failed())?);
        Ok(stored)
    }

    /// The content, behind the bytes that are `kept`.
    pub(super) fn open(&self, name: &str, frame: &Frame, sealed: &[u8], kept: &[u8]) -> Result<Vec<u8>, Refusal> {
        let (key, nonce) = self.of(frame).ok_or(Refusal::UnknownKey)?;
        let (sealed, tag) = sealed.split_last_chunk::<TAG>().ok_or(Refusal::Damaged)?;
        let mut opened = Vec::with_capacity(kept.len() + sealed.len());
        opened.put_slice(kept);
        opened.put_slice(sealed);
        let content = &mut opened[kept.len()..];
        let authenticated = authenticated(name, frame);
        let answer = key.cipher.decrypt_inout_detached(&nonce.into(), &authenticated, content.into(), tag.into());
        answer.map(|()| opened).map_err(|_| Refusal::NotAuthentic)
    }

    fn of(&self, frame: &Frame) -> Option<(&Key, Nonce)> {
        let (id, nonce) = frame.seal?;
        self.0.iter().find(|key| key.id == id).map(|key| (key, nonce))
    }
}

fn first_eight(digest: &[u8]) -> [u8; 8] {
    std::array::from_fn(|at| digest[at])
}

/// All that an entry cannot be moved from: its key, its token, and what was done to it.
fn authenticated(name: &str, frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(DOMAIN.len() + 8 + name.len() + frame.len());
    bytes.put_slice(DOMAIN);
    bytes.put_u64_le(name.len() as u64);
    bytes.put_slice(name.as_bytes());
    frame.write(&mut bytes);
    bytes
}

fn read(text: &str) -> Option<Key> {
    let encodings: &[Encoding] = match text.len() {
        64 => &[HEXLOWER_PERMISSIVE],
        44 => &[BASE64, BASE64URL],
        43 => &[BASE64_NOPAD, BASE64URL_NOPAD],
        _ => &[],
    };
    let mut key = [0; 32];
    // It makes room for whole groups of digits.
    let mut room = [0; 33];
    for encoding in encodings {
        let Ok(length) = encoding.decode_len(text.len()) else { continue };
        if encoding.decode_mut(text.as_bytes(), room.get_mut(..length)?) == Ok(key.len()) {
            key.copy_from_slice(&room[..32]);
            return Some(Key::new(&key));
        }
    }
    None
}

fn wrong(text: String) -> Error {
    Error::message(ErrorKind::Config, text)
}

/// The numbers of the keys, as entries have them.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.0.iter().map(|key| HEXLOWER.encode(&key.id));
        f.write_str("KeyRing(")?;
        f.write_str(&ids.collect::<Vec<_>>().join(", "))?;
        f.write_str(")")
    }
}
