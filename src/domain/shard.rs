//! A shard: the part of a table that one of several runs resolves. The assignment of rows to shards
//! must never change, since the runs may be on different days and machines.

use std::fmt;
use std::num::NonZeroU32;

use tr::tr;

use crate::domain::number::cell::NumberCell;
use crate::domain::number::invalid::Invalid;

/// Shard `index` of `count`, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    index: u32,
    count: NonZeroU32,
}

impl Shard {
    pub fn new(index: u32, count: NonZeroU32) -> Result<Self, String> {
        if index < count.get() {
            return Ok(Self { index, count });
        }
        Err(tr!(
            "invalid shard {index}/{of}: shards are counted from 0; the last one is {last}/{of}",
            index,
            of = count,
            last = count.get() - 1
        ))
    }

    /// Parses `K/N`, or `N` if a cluster sets `index` for each run.
    pub fn parse(text: &str, index: Option<&str>) -> Result<Self, String> {
        let invalid = || {
            tr!(
                "invalid shard '{text}': write K/N (the first of four is 0/4), or only N if \
                 JOB_COMPLETION_INDEX is set",
                text
            )
        };
        let (index, count) = match text.split_once('/') {
            Some((index, count)) => (Some(index), count),
            None => (index, text),
        };
        let count = count.parse().map_err(|_| {
            let is_number = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
            if is_number {
                tr!("invalid shard '{text}': N must be from 1 to {max}", text, max = u32::MAX)
            } else {
                invalid()
            }
        })?;
        let index = index.ok_or_else(|| {
            tr!("no shard index: write K/{of}, or set JOB_COMPLETION_INDEX", of = count)
        })?;
        Self::new(index.parse().map_err(|_| invalid())?, count)
    }

    #[must_use]
    pub fn contains(self, key: ShardKey) -> bool {
        self.shard_for(key) == self
    }

    /// The shard of the same table that contains the rows with this key.
    #[must_use]
    pub fn shard_for(self, ShardKey(key): ShardKey) -> Self {
        let index = key % u64::from(self.count.get());
        // The remainder is less than `count`, so it has at most 32 bits.
        let [_, _, _, _, a, b, c, d] = index.to_be_bytes();
        Self { index: u32::from_be_bytes([a, b, c, d]), ..self }
    }

    /// Whether both are shards of a table with the same number of shards.
    #[must_use]
    pub fn has_same_count(self, other: Self) -> bool {
        self.count == other.count
    }

    /// The part of the shard's file name: `0-of-4`.
    #[must_use]
    pub fn to_file_label(self) -> String {
        format!("{}-of-{}", self.index, self.count)
    }

    /// Finds the label of [`Shard::to_file_label`] in a file name.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        name.split('.').rev().find_map(|part| {
            let (index, count) = part.split_once("-of-")?;
            Self::new(index.parse().ok()?, count.parse().ok()?).ok()
        })
    }
}

/// A hash of a row. Its remainder modulo the number of shards is the index of the row's shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardKey(u64);

impl ShardKey {
    /// Hashes the first valid number of a row, or the text of its first number cell if there is
    /// none. Equal rows are in the same shard, so a merge does not have to distinguish them.
    #[must_use]
    pub fn from_row(
        numbers: impl IntoIterator<Item = Result<NumberCell, Invalid>>,
        first_cell: &str,
    ) -> Self {
        if let Some(parsed) = numbers.into_iter().flatten().next() {
            return Self(mix_bits(parsed.mobile.to_bits()));
        }
        // FNV-1a with its constants for 64 bits.
        let hash = first_cell.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(mix_bits(hash))
    }
}

/// The finalizer of splitmix64 (Steele, Lea and Flood 2014). It spreads consecutive numbers evenly
/// over the shards.
fn mix_bits(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::number::mobile::{DefaultRegion, NumberRules};

    fn key(cells: &[&str]) -> ShardKey {
        let rules = NumberRules { default_region: DefaultRegion::CHINA, strict: true };
        let numbers = cells.iter().map(|cell| NumberCell::parse(cell, rules));
        ShardKey::from_row(numbers, cells.first().unwrap_or(&""))
    }

    fn number_key(n: u32) -> ShardKey {
        key(&[&format!("139{n:08}")])
    }

    fn first_of(count: u32) -> Shard {
        Shard::new(0, NonZeroU32::new(count).unwrap()).unwrap()
    }

    #[test]
    fn shards_are_parsed_and_printed() {
        for text in ["0/4", "3/4", "0/1"] {
            assert_eq!(Shard::parse(text, Some("1")).unwrap().to_string(), text);
        }
        assert_eq!(Shard::parse("4", Some("1")).unwrap().to_string(), "1/4");
        for text in [
            "",
            "/",
            "4/",
            "/4",
            "4/4",
            "-1/4",
            "1/0",
            "0",
            "1.5",
            "0/4/2",
            "a",
            "0/4294967296",
            "1",
        ] {
            assert!(Shard::parse(text, Some("1")).is_err(), "{text}");
        }
        assert!(Shard::parse("4", None).is_err() && Shard::parse("4", Some("")).is_err());
        assert!(
            Shard::parse("4/4", None).unwrap_err().contains("counted from 0; the last one is 3/4")
        );
    }

    #[test]
    fn the_shard_is_parsed_from_a_file_name() {
        for index in 0..12 {
            let shard = Shard::parse(&format!("{index}/12"), None).unwrap();
            assert_eq!(
                Shard::from_file_name(&format!("staff.2-of.{}.csv", shard.to_file_label())),
                Some(shard)
            );
        }
        for name in ["staff.csv", "4-of-4.csv", "of.csv", "-of-.csv", "a0-of-4.csv"] {
            assert_eq!(Shard::from_file_name(name), None, "{name}");
        }
        assert!(
            first_of(4).has_same_count(Shard::parse("3/4", None).unwrap())
                && !first_of(4).has_same_count(first_of(3))
        );
    }

    #[test]
    fn the_shard_of_a_number_is_stable() {
        let keys = [
            "13900000000",
            "13900000001",
            "+86 139 0000 0001",
            "+852-51234567",
            "",
            "n/a",
            "1.38E+10",
            "王伟",
        ]
        .map(|cell| key(&[cell]).0);
        // From the first version with shards.
        let expected = [
            9_789_122_258_110_200_903_u64,
            14_638_903_869_247_743_753,
            14_638_903_869_247_743_753,
            12_651_227_158_544_382_274,
            17_665_956_581_633_026_203,
            8_600_713_251_816_122_000,
            15_639_557_914_502_774_924,
            15_198_813_174_653_685_279,
        ];
        assert_eq!(keys, expected);
        let shards = ["13900000000", "13900000001", "13900000002", ""]
            .map(|cell| first_of(60).shard_for(key(&[cell])).index);
        assert_eq!(shards, [3, 33, 43, 3]);
    }

    #[test]
    fn the_first_number_of_a_row_selects_its_shard() {
        assert_eq!(key(&["", "x", "139 0000 0001", "13900000002"]), number_key(1));
        assert_eq!(key(&["x", ""]), key(&["x", "y"]));
        assert_ne!(key(&["x"]), key(&["", "x"]));
        assert_eq!(key(&[]), key(&[""]));
    }

    #[test]
    fn consecutive_numbers_are_spread_evenly_over_shards() {
        for count in [2, 3, 7, 64] {
            let mut counts = vec![0_u32; usize::try_from(count).unwrap()];
            for n in 0..64_000 {
                let shard = first_of(count).shard_for(number_key(n));
                counts[usize::try_from(shard.index).unwrap()] += 1;
            }
            let fair = 64_000 / count;
            assert!(
                counts.iter().all(|count| count.abs_diff(fair) < fair / 5),
                "{count}: {counts:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn each_row_belongs_to_exactly_one_shard(
            n in 0..100_000_000_u32,
            text in "\\PC{0,12}",
            count in 1..20_u32,
        ) {
            let shards = || (0..count).map(|index| Shard { index, ..first_of(count) });
            prop_assert_eq!(shards().filter(|shard| shard.contains(number_key(n))).count(), 1);
            prop_assert_eq!(shards().filter(|shard| shard.contains(key(&[&text]))).count(), 1);
        }
    }
}
