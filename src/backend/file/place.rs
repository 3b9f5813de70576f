use arrayvec::ArrayString;
use sha2::Sha256;

use crate::key::HashMethod;

/// Among so many directories the entries are spread.
pub(super) const SHARDS: usize = 64;

/// What the names of files have in hexadecimal digits.
const DIGITS: usize = 32;

/// The name of the file of an entry.
pub(super) type Name = ArrayString<DIGITS>;

/// Where the entry of a key is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) shard: usize,
    pub(super) name: Name,
}

impl Place {
    /// 128 bits of SHA-256. Clients choose keys: with a weaker hash one of them could push out another's page.
    pub(super) fn of(key: &str) -> Self {
        let digest = HashMethod::of::<Sha256>().hex(key.as_bytes());
        let name = Name::from(&digest[..DIGITS]).expect("as long as that");
        let first = usize::from_str_radix(&name[..2], 16).expect("two hexadecimal digits");
        Self { shard: first % SHARDS, name }
    }
}

/// The name of a file, if it is that of an entry.
pub(super) fn entry_name(name: &str) -> Option<Name> {
    (name.len() == DIGITS && name.bytes().all(is_digit)).then(|| Name::from(name).expect("as long as that"))
}

/// As names have them.
pub(super) fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

/// The name of the directory of a shard.
pub(super) fn shard_name(shard: usize) -> ArrayString<2> {
    let mut name = ArrayString::new();
    for digit in [shard / 16 % 16, shard % 16] {
        name.push(char::from(b"0123456789abcdef"[digit]));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_same_place_in_every_version() {
        let place = Place::of("view//foo");
        assert_eq!((place.shard, &*place.name), (0x1d, "1dd60aef53a8348ab85c158e05787a06"));
        assert_eq!(&*shard_name(place.shard), "1d");
    }

    #[test]
    fn only_names_that_a_digest_has_are_those_of_entries() {
        let name = Place::of("").name;
        assert_eq!(entry_name(&name), Some(name));
        for other in ["", "lock", "tmp-0123456789abcdef", &name[1..], &name.to_uppercase(), &format!("{name}0")] {
            assert_eq!(entry_name(other), None, "{other}");
        }
    }
}
