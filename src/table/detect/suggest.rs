//! Suggests the known name that is most similar to a mistyped one.

use crate::table::detect::header_words::normalize_name;

/// Shorter substrings, in bytes, occur in many names by chance.
const MIN_SUBSTRING_BYTES: usize = 4;

/// The name most similar to `wrong`, ignoring case and width. `None` if no name is similar.
#[must_use]
pub(crate) fn suggest<'a>(
    wrong: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wrong = normalize_name(wrong);
    let names = names.into_iter().filter(|name| is_similar(&wrong, &normalize_name(name)));
    names
        .map(|name| (strsim::jaro(&wrong, &normalize_name(name)), name))
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|best| best.1)
}

/// Whether the names differ by at most one edit in three letters, or one contains the other.
fn is_similar(wrong: &str, name: &str) -> bool {
    let longest = wrong.chars().count().max(name.chars().count());
    let edits = strsim::osa_distance(wrong, name);
    let is_part = |one: &str, other: &str| one.len() >= MIN_SUBSTRING_BYTES && other.contains(one);
    (edits < longest && edits <= (longest / 3).max(1))
        || is_part(wrong, name)
        || is_part(name, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_suggested_and_another_word_is_not() {
        let names = ["工号", "姓名", "手机号", "Mobile phone", "备注"];
        for (wrong, near) in [
            ("手机好", Some("手机号")),
            ("moblie phone", Some("Mobile phone")),
            ("ＭＯＢＩＬＥ", Some("Mobile phone")),
            ("工呺", Some("工号")),
            ("电话", None),
            ("", None),
        ] {
            assert_eq!(suggest(wrong, names), near, "{wrong}");
        }
        assert_eq!(suggest("retries", ["retry-min", "max-retries"]), Some("max-retries"));
        assert_eq!(suggest("x", []), None);
        assert_eq!(suggest("config", ["encoding", "column"]), None);
        assert_eq!(suggest("x", ["y", "id"]), None);
    }
}
