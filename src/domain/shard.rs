//! A shard: the rows of a table that one of several runs takes, by their numbers. Which rows these are never changes, since the
//! runs may be of different days and machines. Leaves putting shards together again to `reconcile::merging`.

use std::fmt;
use std::num::NonZeroU32;

use tr::tr;

use crate::domain::number::cell::NumberCell;
use crate::domain::number::mobile::NumberRules;

/// One of so many shards, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    index: u32,
    count: NonZeroU32,
}

impl Shard {
    /// The shard of this number.
    ///
    /// # Errors
    /// There are not so many; the text says so.
    pub fn new(index: u32, of: NonZeroU32) -> Result<Self, String> {
        if index < of.get() {
            return Ok(Self { index, count: of });
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
    pub fn parse(text: &str, index: Option<&str>) -> Result<Self, String> {
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

    /// Whether it has the rows with this lot.
    #[must_use]
    pub fn contains(self, lot: ShardKey) -> bool {
        self.shard_for(lot) == self
    }

    /// The shard of its table that has the rows with this lot.
    #[must_use]
    pub fn shard_for(self, ShardKey(lot): ShardKey) -> Self {
        // What is left of a division by so many is less than that.
        Self { index: u32::try_from(lot % u64::from(self.count.get())).unwrap_or_default(), ..self }
    }

    /// Whether both are of a table that was divided into so many.
    #[must_use]
    pub fn has_same_count(self, other: Self) -> bool {
        self.count == other.count
    }

    /// How the name of its file tells it: `0-of-4`.
    #[must_use]
    pub fn to_file_label(self) -> String {
        format!("{}-of-{}", self.index, self.count)
    }

    /// The shard that a file's name tells, as [`Shard::in_names`] would.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        name.split('.').rev().find_map(|part| {
            let (index, of) = part.split_once("-of-")?;
            Self::new(index.parse().ok()?, of.parse().ok()?).ok()
        })
    }
}

/// By what a row falls to a shard, however many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardKey(u64);

impl ShardKey {
    /// That of a row: its first number draws it, and where there is none, the text of the first cell. Rows that are alike come
    /// together, so that whoever merges shards need not tell them apart.
    #[must_use]
    pub fn from_cells<'a>(cells: impl IntoIterator<Item = &'a str>, rules: NumberRules) -> Self {
        let mut first = None;
        for cell in cells {
            if let Ok(entry) = NumberCell::parse(cell, rules) {
                return Self(mix_bits(entry.mobile.to_bits()));
            }
            first.get_or_insert(cell);
        }
        // FNV-1a, by its authors' constants for 64 bits.
        let hash =
            first.unwrap_or_default().bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        Self(mix_bits(hash))
    }
}

/// Bits that depend on all of these: the finalizer of splitmix64 (Steele, Lea and Flood 2014). Numbers that follow each other
/// fall to every shard alike.
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
    use crate::domain::number::mobile::DefaultRegion;

    fn lot(cells: &[&str]) -> ShardKey {
        ShardKey::from_cells(
            cells.iter().copied(),
            NumberRules { default_region: DefaultRegion::CHINA, strict: true },
        )
    }

    fn number(n: u32) -> ShardKey {
        lot(&[&format!("139{n:08}")])
    }

    fn of(count: u32) -> Shard {
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
            Shard::parse("4/4", None)
                .unwrap_err()
                .contains("counted from 0, so that the last one is 3/4")
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
            of(4).has_same_count(Shard::parse("3/4", None).unwrap())
                && !of(4).has_same_count(of(3))
        );
    }

    #[test]
    fn the_shard_of_a_number_is_stable() {
        let drawn = [
            "13900000000",
            "13900000001",
            "+86 139 0000 0001",
            "+852-51234567",
            "",
            "n/a",
            "1.38E+10",
            "王伟",
        ]
        .map(|cell| lot(&[cell]).0);
        // As they were when shards came to be.
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
        assert_eq!(drawn, expected);
        let shards = ["13900000000", "13900000001", "13900000002", ""]
            .map(|cell| of(60).shard_for(lot(&[cell])).index);
        assert_eq!(shards, [3, 33, 43, 3]);
    }

    #[test]
    fn the_first_number_of_a_row_selects_its_shard() {
        assert_eq!(lot(&["", "x", "139 0000 0001", "13900000002"]), number(1));
        assert_eq!(lot(&["x", ""]), lot(&["x", "y"]));
        assert_ne!(lot(&["x"]), lot(&["", "x"]));
        assert_eq!(lot(&[]), lot(&[""]));
    }

    #[test]
    fn consecutive_numbers_are_spread_evenly_over_shards() {
        for count in [2, 3, 7, 64] {
            let mut counts = vec![0_u32; usize::try_from(count).unwrap()];
            for n in 0..64_000 {
                counts[usize::try_from(of(count).shard_for(number(n)).index).unwrap()] += 1;
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
        fn each_row_belongs_to_exactly_one_shard(n in 0..100_000_000_u32, text in "\\PC{0,12}", count in 1..20_u32) {
            let all = || (0..count).map(|index| Shard { index, ..of(count) });
            prop_assert_eq!(all().filter(|shard| shard.contains(number(n))).count(), 1);
            prop_assert_eq!(all().filter(|shard| shard.contains(lot(&[&text]))).count(), 1);
        }
    }
}
