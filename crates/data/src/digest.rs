//! SHA-256 of a text as a short key, and of a seed and a name as a place in a shuffled order.

use sha2::{Digest, Sha256};
use verdict_common::hash::hex;

/// The first 16 hexadecimal digits: long enough that no two texts of a data set meet.
pub(crate) fn short(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes())[..8])
}

/// A row's place in the shuffled order that `seed` and `purpose` give. Sorting by it is the only
/// randomness of a build: it depends on nothing but its arguments, so neither the order of the
/// sources nor a library's version can change it.
pub(crate) fn place(seed: u64, purpose: &str, name: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update((purpose.len() as u64).to_le_bytes());
    hash.update(purpose);
    hash.update(name);
    let digest = hash.finalize();
    u64::from_be_bytes(digest[..8].try_into().expect("a SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::{place, short};

    #[test]
    fn hashes_are_the_published_ones() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(short("abc"), "ba7816bf8f01cfea");
    }

    #[test]
    fn places_depend_on_each_argument_and_stay_what_they_are() {
        let first = place(42, "sample", "a");
        assert_eq!(first, place(42, "sample", "a"));
        assert_ne!(first, place(43, "sample", "a"));
        assert_ne!(first, place(42, "split", "a"));
        assert_ne!(first, place(42, "sample", "b"));
        assert_ne!(place(42, "ab", "c"), place(42, "a", "bc"));
    }
}
