//! Owns which of several names somebody may have meant who wrote another one. Leaves to its callers what the names are of.

use crate::table::heading::folded;

/// How much alike two names must be, of 1; that of clap for flags.
const ALIKE: f64 = 0.7;

/// The name that is most like `wrong`, without regard to case and width, where one is like it at all.
#[must_use]
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = folded(wrong);
    let scored = names.into_iter().map(|name| (strsim::jaro(&wrong, &folded(name)), name));
    scored
        .filter(|(alike, _)| *alike > ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|best| best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let names = ["工号", "姓名", "手机号", "Mobile phone", "备注"];
        for (wrong, near) in [
            ("手机好", Some("手机号")),
            ("moblie phone", Some("Mobile phone")),
            ("ＭＯＢＩＬＥ", Some("Mobile phone")),
            ("电话", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, names), near, "{wrong}");
        }
        assert_eq!(nearest("retries", ["retry-min", "max-retries"]), Some("max-retries"));
        assert_eq!(nearest("x", []), None);
    }
}
