//! A shard: the rows of a table that one of several runs takes, by their numbers. Which rows these are never changes, since the
//! runs may be of different days, machines and versions. Leaves putting shards together again to `app::merge`.

use std::fmt;
use std::num::NonZeroU32;

use tr::tr;

use crate::domain::mobile::Mobile;

/// One of so many shards, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    of: NonZeroU32,
}

impl Shard {
    /// The shard of this number.
    ///
    /// # Errors
    /// There are not so many; the text says so.
    pub fn new(index: u32, of: NonZeroU32) -> Result<Self, String> {
        if index < of.get() {
            return Ok(Self { index, of });
        }
        Err(tr!(
            "there is no shard {index} of {of}: shards are counted from 0, so that the last one is {last}/{of}",
            index,
            of,
            last = of.get() - 1
        ))
    }

    /// Reads `K/N`, or `N` alone, where `index` is the one that somebody else gives to each run, such as a cluster.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub fn read(text: &str, index: Option<&str>) -> Result<Self, String> {
        let wrong = || {
            tr!(
                "'{text}' is no shard: write K/N, the first of four as 0/4, or N alone where JOB_COMPLETION_INDEX says which",
                text
            )
        };
        let (given, of) = match text.split_once('/') {
            Some((given, of)) => (Some(given), of),
            None => (index, text),
        };
        let of = of.parse().map_err(|_| wrong())?;
        let given = given.ok_or_else(|| {
            tr!("of which shard of {of} are the rows? JOB_COMPLETION_INDEX is not set: write K/{of}", of)
        })?;
        Self::new(given.parse().map_err(|_| wrong())?, of)
    }

    /// Whether it has the rows of this number.
    #[must_use]
    pub fn has(self, mobile: Mobile) -> bool {
        self.has_hash(mixed(mobile.bits()))
    }

    /// Whether it has the rows without a number whose cell says this. Rows that are alike come together, so that whoever
    /// merges shards need not tell them apart.
    #[must_use]
    pub fn has_text(self, cell: &str) -> bool {
        // FNV-1a, by its authors' constants for 64 bits.
        let hash = cell.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        self.has_hash(mixed(hash))
    }

    /// How the name of its file tells it: `0-of-4`.
    #[must_use]
    pub fn in_names(self) -> String {
        format!("{}-of-{}", self.index, self.of)
    }

    /// The shard that a file's name tells, as [`Shard::in_names`] would.
    #[must_use]
    pub fn in_name(name: &str) -> Option<Self> {
        name.split('.').rev().find_map(|part| {
            let (index, of) = part.split_once("-of-")?;
            Self::new(index.parse().ok()?, of.parse().ok()?).ok()
        })
    }

    /// All shards of its table, in order.
    pub fn and_others(self) -> impl Iterator<Item = Self> {
        let of = self.of;
        (0..of.get()).map(move |index| Self { index, of })
    }

    fn has_hash(self, hash: u64) -> bool {
        hash % u64::from(self.of.get()) == u64::from(self.index)
    }
}

/// Bits that depend on all of these: the finalizer of splitmix64 (Steele, Lea and Flood 2014). Numbers that follow each other
/// fall to every shard alike.
fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(n: u32) -> Mobile {
        Mobile::mainland(format!("139{n:08}").as_bytes()).unwrap()
    }

    fn all(of: u32) -> Vec<Shard> {
        Shard::new(0, NonZeroU32::new(of).unwrap()).unwrap().and_others().collect()
    }

    #[test]
    fn shards_are_read_and_told() {
        for text in ["0/4", "3/4", "0/1"] {
            assert_eq!(Shard::read(text, Some("1")).unwrap().to_string(), text);
        }
        assert_eq!(Shard::read("4", Some("1")).unwrap().to_string(), "1/4");
        for text in ["", "/", "4/", "/4", "4/4", "-1/4", "1/0", "0", "1.5", "0/4/2", "a", "0/4294967296", "1"] {
            assert!(Shard::read(text, Some("1")).is_err(), "{text}");
        }
        assert!(Shard::read("4", None).is_err() && Shard::read("4", Some("")).is_err());
    }

    #[test]
    fn names_tell_their_shard() {
        for shard in all(12) {
            assert_eq!(Shard::in_name(&format!("staff.2-of.{}.csv", shard.in_names())), Some(shard));
        }
        for name in ["staff.csv", "4-of-4.csv", "of.csv", "-of-.csv", "a0-of-4.csv"] {
            assert_eq!(Shard::in_name(name), None, "{name}");
        }
    }

    #[test]
    fn what_falls_to_a_shard_never_changes() {
        let of = all(8);
        let which = |has: &dyn Fn(Shard) -> bool| of.iter().position(|shard| has(*shard));
        let numbers: Vec<_> = (0..12).map(|n| which(&|shard| shard.has(number(n))).unwrap()).collect();
        let texts: Vec<_> = ["", "n/a", "1.38E+10", "王伟"].map(|text| which(&|shard| shard.has_text(text)).unwrap()).to_vec();
        // As they were when shards came to be.
        assert_eq!((numbers, texts), (vec![], vec![]));
    }

    #[test]
    fn numbers_in_a_row_fall_to_all_alike() {
        for of in [2, 3, 7, 64] {
            let shards = all(of);
            let mut counts = vec![0_u32; shards.len()];
            for n in 0..64_000 {
                let at = shards.iter().position(|shard| shard.has(number(n))).unwrap();
                counts[at] += 1;
            }
            let fair = 64_000 / of;
            assert!(counts.iter().all(|count| count.abs_diff(fair) < fair / 5), "{of}: {counts:?}");
        }
    }

    proptest! {
        #[test]
        fn each_falls_to_one(n in 0..100_000_000_u32, text in "\\PC{0,12}", of in 1..20_u32) {
            prop_assert_eq!(all(of).iter().filter(|shard| shard.has(number(n))).count(), 1);
            prop_assert_eq!(all(of).iter().filter(|shard| shard.has_text(&text)).count(), 1);
        }
    }
}
