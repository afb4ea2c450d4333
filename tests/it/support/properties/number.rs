//! What holds for any cell: it is parsed or rejected with a message, and what is sent parses back
//! to itself. The fuzz targets in `tests/fuzz/` and the replay of their corpus share this file.

use dingmap::testing::domain::NumberCell;
use dingmap::testing::domain::{DefaultRegion, MainlandFormat, NumberRules};

/// Regions whose plans differ in what matters here: trunk prefixes, zeros that count, prefixes for
/// calls abroad.
const REGIONS: [&str; 8] = ["CN", "HK", "US", "IT", "AR", "CI", "JP", "DE"];

/// The first byte chooses the rules, the rest is the cell.
///
/// # Panics
/// Where the property does not hold.
pub(crate) fn number(data: &[u8]) {
    let Some((choice, cell)) = data.split_first() else { return };
    let home: DefaultRegion = REGIONS[usize::from(choice & 7)].parse().unwrap();
    let rules = NumberRules { default_region: home, strict: choice & 8 == 0 };
    let cell = String::from_utf8_lossy(cell);
    let entry = match NumberCell::parse(&cell, rules) {
        Ok(entry) => entry,
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            return;
        }
    };
    let mobile = entry.mobile;
    for mainland in [MainlandFormat::Plain, MainlandFormat::Prefixed] {
        let sent = entry.mobile.to_api_string(mainland);
        let (country, national) = sent.rsplit_once('-').unwrap_or(("+86", &sent));
        assert!(
            country.starts_with('+') && country[1..].bytes().all(|byte| byte.is_ascii_digit()),
            "{sent}"
        );
        assert!(national.bytes().all(|byte| byte.is_ascii_digit()), "{sent}");
        assert!((5..=16).contains(&(country.len() + national.len())), "{sent}");
        assert!(!mobile.to_masked_string().contains(national), "{sent}");
        // With its country code a number is the same everywhere; without, it is the mainland's.
        let home = if sent.starts_with('+') { home } else { DefaultRegion::CHINA };
        let again = NumberCell::parse(&sent, NumberRules { default_region: home, ..rules });
        assert_eq!(again.map(|entry| entry.mobile), Ok(mobile), "{sent}");
    }
    if let Some(remark) = entry.annotate_message("ok") {
        assert!(
            remark.starts_with("ok (") && remark.ends_with(" numbers in the cell)"),
            "{remark}"
        );
    }
}
