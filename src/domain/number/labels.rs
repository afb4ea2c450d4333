//! Words in number cells: labels before a number, and words for "none".

/// What a label says about the number behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LabelKind {
    Phone,
    Landline,
}

/// In lower case. A label precedes the labels that it begins with.
const LABELS: [(&str, LabelKind); 37] = [
    ("手机号码", LabelKind::Phone),
    ("手机电话", LabelKind::Phone),
    ("手机号", LabelKind::Phone),
    ("手机", LabelKind::Phone),
    ("手機號碼", LabelKind::Phone),
    ("手機號", LabelKind::Phone),
    ("手機", LabelKind::Phone),
    ("移动电话", LabelKind::Phone),
    ("行動電話", LabelKind::Phone),
    ("流動電話", LabelKind::Phone),
    ("联系手机", LabelKind::Phone),
    ("联系电话", LabelKind::Phone),
    ("联系方式", LabelKind::Phone),
    ("聯絡電話", LabelKind::Phone),
    ("电话号码", LabelKind::Phone),
    ("电话", LabelKind::Phone),
    ("電話號碼", LabelKind::Phone),
    ("電話", LabelKind::Phone),
    ("号码", LabelKind::Phone),
    ("mobile", LabelKind::Phone),
    ("cellphone", LabelKind::Phone),
    ("cell", LabelKind::Phone),
    ("phone", LabelKind::Phone),
    ("telephone", LabelKind::Phone),
    ("tel", LabelKind::Phone),
    ("mob", LabelKind::Phone),
    ("ph", LabelKind::Phone),
    ("m", LabelKind::Phone),
    ("p", LabelKind::Phone),
    ("t", LabelKind::Phone),
    ("座机", LabelKind::Landline),
    ("座機", LabelKind::Landline),
    ("固话", LabelKind::Landline),
    ("固定电话", LabelKind::Landline),
    ("固定電話", LabelKind::Landline),
    ("办公电话", LabelKind::Landline),
    ("landline", LabelKind::Landline),
];
/// What may stand between a label and its number, in lower case.
const LABEL_ENDS: [&str; 5] = ["number", "no", "是", "为", "為"];
/// A shorter label in ASCII letters needs a colon, because it may be something else (`x12`).
const MIN_BARE_LABEL_BYTES: usize = 3;

/// Words for "none", in lower case.
const NONE_WORDS: [&str; 24] = [
    "无",
    "無",
    "没有",
    "沒有",
    "暂无",
    "暫無",
    "无号码",
    "无手机",
    "无手机号",
    "没有手机",
    "无电话",
    "空",
    "未填",
    "未填写",
    "未提供",
    "none",
    "null",
    "nil",
    "nan",
    "n/a",
    "#n/a",
    "n.a.",
    "na",
    "\\n",
];

/// Splits a label (`手机:`, `Tel.`) from the number behind it. The text is normalized.
#[must_use]
pub(crate) fn split_label(text: &str) -> Option<(LabelKind, &str)> {
    LABELS.iter().find_map(|&(label, kind)| {
        let (word, after) = text.split_at_checked(label.len())?;
        if word.to_lowercase() != label {
            return None;
        }
        let after = skip_label_end(after.trim_start());
        let number = after.trim_start_matches([':', '.']).trim_start();
        let has_colon = after.starts_with(':');
        let is_before_number = number.starts_with(|c: char| c.is_ascii_digit() || "+(".contains(c));
        let is_label = has_colon || (is_before_number && label.len() >= MIN_BARE_LABEL_BYTES);
        is_label.then_some((kind, number))
    })
}

/// The text behind one of [`LABEL_ENDS`], if it begins with one.
fn skip_label_end(text: &str) -> &str {
    let skip = |end: &&str| {
        let (word, after) = text.split_at_checked(end.len())?;
        (word.to_lowercase() == **end).then(|| after.trim_start())
    };
    LABEL_ENDS.iter().find_map(skip).unwrap_or(text)
}

/// Whether a normalized cell says that there is no number: `-`, `/`, `0`, `0.0`, `无`, `n/a`.
#[must_use]
pub(crate) fn is_none(text: &str) -> bool {
    let text = text.trim();
    if text.is_empty() {
        return false;
    }
    let is_zero = || count_digits(text) > 0 && text.chars().all(|c| c == '0' || "-. ".contains(c));
    let is_dash = || text.chars().all(|c| "-_~./\\、,;| ".contains(c));
    let word = text.trim_matches(['(', ')', '<', '>', '-']).trim().to_lowercase();
    is_dash() || is_zero() || NONE_WORDS.contains(&&*word)
}

#[must_use]
pub(crate) fn count_digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_before_a_number_are_split() {
        for text in [
            "手机:138",
            "手机号码: 138",
            "手机138",
            "电话 : 138",
            "Tel: 138",
            "tel.138",
            "TEL 138",
            "M: 138",
            "Mobile:138",
            "Tel No. 138",
            "phone number: 138",
            "手机号码是138",
            "电话为:138",
        ] {
            assert_eq!(split_label(text), Some((LabelKind::Phone, "138")), "{text}");
        }
        assert_eq!(split_label("座机:010-62345678"), Some((LabelKind::Landline, "010-62345678")));
        assert_eq!(split_label("手机:"), Some((LabelKind::Phone, "")));
        for text in [
            "手机",
            "m138",
            "m no 138",
            "x12",
            "张三:138",
            "微信:138",
            "紧急联系人电话:138",
            "手机是",
            "phone nobody 138",
            "138",
            "",
        ] {
            assert_eq!(split_label(text), None, "{text}");
        }
    }

    #[test]
    fn cells_for_none_are_recognized() {
        for text in [
            "-",
            "--",
            "/",
            "0",
            "0.0",
            "00000000000",
            "无",
            " 没有 ",
            "N/A",
            "NULL",
            "(null)",
            "-无-",
        ] {
            assert!(is_none(text), "{text}");
        }
        for text in ["", " ", "离职", "10", "0.5", "13800138000", "+", "***", "无/离职", "no"]
        {
            assert!(!is_none(text), "{text}");
        }
    }
}
