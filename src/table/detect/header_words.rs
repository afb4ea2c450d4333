//! Words in column names that indicate mobile numbers, in the languages of exports.

use unicode_normalization::UnicodeNormalization;

/// How strongly a column name indicates mobile numbers; greater is stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HeaderMatch {
    /// Not at all, or it indicates something else.
    NoMatch,
    /// A word for telephone among others, or a telephone that is probably not the person's own
    /// mobile.
    ContainsPhone,
    /// Exactly "telephone".
    ExactPhone,
    /// A word for mobile among others.
    ContainsMobile,
    /// Exactly "mobile number".
    ExactMobile,
}

const EXACT_MOBILE: &[&str] = &[
    "手机",
    "手机号",
    "手机号码",
    "手机电话",
    "移动电话",
    "移动电话号码",
    "移动手机",
    "手機",
    "手機號",
    "手機號碼",
    "行動電話",
    "行動電話號碼",
    "流動電話",
    "携帯",
    "携帯電話",
    "携帯番号",
    "携帯電話番号",
    "휴대폰",
    "휴대전화",
    "휴대폰번호",
    "mobile",
    "mobileno",
    "mobilenum",
    "mobilenumber",
    "mobilephone",
    "mobilephoneno",
    "mobilephonenumber",
    "cell",
    "cellno",
    "cellnumber",
    "cellphone",
    "cellphoneno",
    "cellphonenumber",
    "cellular",
    "handphone",
    "handphonenumber",
    "msisdn",
    "smartphone",
];
const EXACT_PHONE: &[&str] = &[
    "电话",
    "电话号码",
    "联系电话",
    "联系号码",
    "联系方式",
    "電話",
    "電話號碼",
    "電話番号",
    "聯絡電話",
    "聯絡方式",
    "전화",
    "전화번호",
    "phone",
    "phoneno",
    "phonenum",
    "phonenumber",
    "tel",
    "telno",
    "telephone",
    "telephoneno",
    "telephonenumber",
    "contactno",
    "contactnumber",
    "contactphone",
];
/// Matched anywhere in a name, because Chinese, Japanese and Korean do not separate words.
const MOBILE_SUBSTRINGS: &[&str] =
    &["手机", "移动电话", "手機", "行動電話", "流動電話", "携帯", "휴대폰", "휴대전화"];
const PHONE_SUBSTRINGS: &[&str] = &["电话", "联系方式", "電話", "聯絡方式", "전화"];
/// Matched as whole words of a name: `cell` is in `Cell phone (work)` and not in `cancelled`.
const MOBILE_WORDS: &[&str] =
    &["mobile", "mobiles", "mobilephone", "cell", "cellphone", "cellular", "handphone", "msisdn"];
const PHONE_WORDS: &[&str] = &["phone", "phones", "telephone", "tel"];

/// Words for a number that is probably not the person's own mobile.
const OTHER_PHONE_SUBSTRINGS: &[&str] =
    &["家长", "备用", "办公", "座机", "固定", "公司", "總機", "总机"];
const OTHER_PHONE_WORDS: &[&str] =
    &["office", "home", "landline", "backup", "parent", "guardian", "company", "desk"];
/// Words for the number of somebody else than the person of the row.
const OTHER_PERSON_SUBSTRINGS: &[&str] = &[
    "紧急",
    "緊急",
    "上级",
    "上級",
    "领导",
    "領導",
    "家属",
    "亲属",
    "配偶",
    "担保",
    "推荐人",
    "介绍人",
];
const OTHER_PERSON_WORDS: &[&str] = &["emergency", "manager", "supervisor", "spouse", "kin"];
/// Words for something that is not a telephone number.
const NOT_PHONE_SUBSTRINGS: &[&str] = &[
    "品牌",
    "型号",
    "系统",
    "归属地",
    "运营商",
    "类型",
    "验证",
    "是否",
    "分机",
    "传真",
    "区号",
    "區號",
    "国家",
    "國家",
    "国码",
    "國碼",
];
const NOT_PHONE_WORDS: &[&str] = &[
    "brand",
    "model",
    "carrier",
    "operator",
    "type",
    "os",
    "country",
    "code",
    "ext",
    "extension",
    "verified",
    "fax",
    "app",
];

/// Normalizes a name for comparisons: removes spaces around it and invisible characters such as
/// line ends, and converts it to lower case and Unicode's form NFKC, which unifies full and half
/// width.
#[must_use]
pub(crate) fn normalize_name(name: &str) -> String {
    let shown = |letter: &char| {
        !letter.is_control() && !matches!(letter, '\u{200b}'..='\u{200f}' | '\u{feff}')
    };
    name.nfkc().filter(shown).collect::<String>().to_lowercase().trim().to_owned()
}

/// How strongly the column name `header` indicates mobile numbers.
#[must_use]
pub(crate) fn match_header(header: &str) -> HeaderMatch {
    let words = split_words(header);
    let joined = words.concat();
    let has = |parts: &[&str], list: &[&str]| has_words(&words, &joined, parts, list);
    if EXACT_MOBILE.contains(&joined.as_str()) {
        HeaderMatch::ExactMobile
    } else if EXACT_PHONE.contains(&joined.as_str()) {
        HeaderMatch::ExactPhone
    } else if has(NOT_PHONE_SUBSTRINGS, NOT_PHONE_WORDS) {
        HeaderMatch::NoMatch
    } else {
        let others = has(OTHER_PHONE_SUBSTRINGS, OTHER_PHONE_WORDS)
            || has(OTHER_PERSON_SUBSTRINGS, OTHER_PERSON_WORDS);
        match (has(MOBILE_SUBSTRINGS, MOBILE_WORDS), has(PHONE_SUBSTRINGS, PHONE_WORDS)) {
            (true, _) if !others => HeaderMatch::ContainsMobile,
            (false, false) => HeaderMatch::NoMatch,
            _ => HeaderMatch::ContainsPhone,
        }
    }
}

/// Whether the column name is about a number that is probably not the person's own mobile.
#[must_use]
pub(crate) fn is_other_phone(header: &str) -> bool {
    let words = split_words(header);
    has_words(&words, &words.concat(), OTHER_PHONE_SUBSTRINGS, OTHER_PHONE_WORDS)
        || is_other_persons(header)
}

/// Whether the column name is about the number of somebody else than the person of the row.
#[must_use]
pub(crate) fn is_other_persons(header: &str) -> bool {
    let words = split_words(header);
    has_words(&words, &words.concat(), OTHER_PERSON_SUBSTRINGS, OTHER_PERSON_WORDS)
}

fn has_words(words: &[String], joined: &str, substrings: &[&str], list: &[&str]) -> bool {
    substrings.iter().any(|part| joined.contains(part))
        || words.iter().any(|word| list.contains(&word.as_str()))
}

/// The words of a name in lower case, split at characters other than letters and digits and in
/// `camelCase`.
pub(crate) fn split_words(header: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_small = false;
    for letter in header.nfkc() {
        let parted = !letter.is_alphanumeric();
        if parted || (after_small && letter.is_uppercase()) {
            words.push(String::new());
        }
        if let (false, Some(word)) = (parted, words.last_mut()) {
            word.extend(letter.to_lowercase());
        }
        after_small = letter.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_words_are_scored() {
        let cases: [(&[&str], HeaderMatch); 5] = [
            (
                &[
                    "手机号",
                    " 手机 ",
                    "手机号码",
                    "移动电话",
                    "手機號碼",
                    "行動電話",
                    "携帯電話",
                    "携帯",
                    "Mobile",
                    "MOBILE PHONE",
                    "mobile_number",
                    "mobileNumber",
                    "Cell",
                    "cell-phone",
                    "MSISDN",
                    "【手机号】",
                ],
                HeaderMatch::ExactMobile,
            ),
            (
                &["员工手机号(必填)", "Work mobile", "Mobile (private)", "联系手机", "userMobile"],
                HeaderMatch::ContainsMobile,
            ),
            (
                &[
                    "联系电话",
                    "电话",
                    "联系方式",
                    "Phone",
                    "phone number",
                    "Tel.",
                    "Telephone",
                    "電話番号",
                ],
                HeaderMatch::ExactPhone,
            ),
            (
                &[
                    "紧急联系人手机",
                    "Emergency mobile",
                    "员工电话",
                    "Home phone",
                    "Phone (work)",
                    "公司电话",
                ],
                HeaderMatch::ContainsPhone,
            ),
            (
                &[
                    "姓名",
                    "手机品牌",
                    "手机归属地",
                    "phone type",
                    "cancelled",
                    "hotel",
                    "email",
                    "",
                    "Mobile carrier",
                    "手机区号",
                    "mobile country code",
                ],
                HeaderMatch::NoMatch,
            ),
        ];
        for (names, expected) in cases {
            for name in names {
                assert_eq!(match_header(name), expected, "{name}");
            }
        }
        assert!(
            HeaderMatch::ExactMobile > HeaderMatch::ContainsMobile
                && HeaderMatch::ContainsMobile > HeaderMatch::ExactPhone
        );
    }
}
