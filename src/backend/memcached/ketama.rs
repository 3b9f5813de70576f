//! Which server has a key: consistent hashing, as libmemcached has it with `KETAMA_WEIGHTED`.

use digest::Digest;
use md5::Md5;

/// A server of the usual weight has so many places on the ring.
const PLACES: f32 = 160.0;

/// Servers on a ring of 32 bits; a key is at the first place at or after its own hash.
#[derive(Debug)]
pub(super) struct Ring(Vec<(u32, usize)>);

impl Ring {
    /// The ring of servers, each by its name there and its weight.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "libmemcached counts in 32-bit floats, and its places are to be ours"
    )]
    pub(super) fn new(servers: &[(String, u32)]) -> Self {
        let total: u64 = servers.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut places = Vec::new();
        for (index, (name, weight)) in servers.iter().enumerate() {
            let share = *weight as f32 / total.max(1) as f32;
            let hashes = (f64::from(share * PLACES / 4.0 * servers.len() as f32) + 1e-10) as f32;
            // Four places are one hash. One that is too light for any is on the ring all the same.
            for number in 0..(hashes.floor() as u32).max(1) {
                let hash = Md5::digest(format!("{name}-{number}"));
                places.extend(hash.chunks_exact(4).map(|four| (little(four), index)));
            }
        }
        places.sort_unstable();
        Self(places)
    }

    /// The server of a key.
    pub(super) fn server(&self, key: &str) -> usize {
        self.at(little(&Md5::digest(key)[..4]))
    }

    fn at(&self, hash: u32) -> usize {
        let after = self.0.partition_point(|place| place.0 < hash);
        self.0.get(after).or(self.0.first()).map_or(0, |place| place.1)
    }
}

fn little(four: &[u8]) -> u32 {
    four.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(weights: &[u32]) -> Ring {
        let names = weights.iter().enumerate().map(|(index, weight)| (format!("10.0.1.{}", index + 1), *weight));
        Ring::new(&names.collect::<Vec<_>>())
    }

    /// Keys, their hashes, the places after those and the last part of the server's address, from `ketama_test_cases.h` of
    /// libmemcached; its test has these eight servers on port 11211 and these weights.
    #[test]
    fn keys_are_where_libmemcached_has_them() {
        let ring = servers(&[600, 300, 200, 350, 1000, 800, 950, 100]);
        for (key, hash, place, server) in [
            ("SVa_]_V41)", 443_691_461, 445_379_617, 7),
            ("*/Z;?V(.\\8", 1_422_915_503, 1_428_303_028, 1),
            ("30C1*Z*S/_", 1_473_165_754, 1_480_075_959, 2),
            ("ERR:EC58G>", 2_148_406_511, 2_168_579_133, 7),
            ("1I=cTMNTKF", 2_882_686_667, 2_885_206_587, 5),
            ("P1[Ma3=K1/", 1_989_324_036, 1_994_028_240, 8),
            ("D[HE+cFXDK", 2_117_036_136, 2_117_124_014, 3),
            ("EM75N0+[X1", 1_558_531_507, 1_559_308_507, 4),
            ("6,cEI`F_P>", 3_972_869_246, 3_974_773_167, 6),
            ("[1ZXONX2]a", 4_108_881_567, 4_109_865_744, 4),
            ("VD6D0]ba_\\", 3_842_502_950, 3_842_588_691, 1),
        ] {
            assert_eq!(little(&Md5::digest(key)[..4]), hash, "{key}");
            assert!(ring.0.contains(&(place, server - 1)), "{key}: place {place}");
            assert_eq!(ring.server(key), server - 1, "{key}");
        }
    }

    #[test]
    fn equal_servers_have_160_places_each() {
        let ring = servers(&[1, 1, 1, 1]);
        for server in 0..4 {
            assert_eq!(ring.0.iter().filter(|place| place.1 == server).count(), 160);
        }
    }

    #[test]
    fn after_the_last_place_comes_the_first() {
        let ring = servers(&[1, 1, 1]);
        assert_eq!(ring.at(u32::MAX), ring.0[0].1);
        assert_eq!(ring.at(0), ring.0[0].1);
    }

    #[test]
    fn a_server_that_is_gone_moves_its_own_keys_and_few_others() {
        let (all, fewer) = (servers(&[1; 5]), servers(&[1; 4]));
        let keys: Vec<_> = (0..10_000).map(|number| format!("key {number}")).collect();
        let moved = keys.iter().filter(|key| all.server(key) != 4 && all.server(key) != fewer.server(key)).count();
        let orphaned = keys.iter().filter(|key| all.server(key) == 4).count();
        assert_eq!(moved, 0);
        assert!((1_000..3_500).contains(&orphaned), "{orphaned}");
    }
}
