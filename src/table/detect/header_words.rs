//! Owns the words by which a column's name tells that it holds mobile numbers, in the languages that exports come
//! in. Weighing names against cells is done elsewhere.

use unicode_normalization::UnicodeNormalization;

/// What a column's name says about its cells; more is stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hint {
    /// Nothing, or that the cells are something else.
    Nothing,
    /// A telephone word among others, or a telephone that is most likely another person's or no mobile.
    HasPhone,
    /// Just "telephone".
    IsPhone,
    /// A word for mobile among others.
    HasMobile,
    /// Just "mobile number".
    IsMobile,
}

const IS_MOBILE: &[&str] = &[
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
const IS_PHONE: &[&str] = &[
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
/// Looked for anywhere in a name, as Chinese, Japanese and Korean do not part words.
const MOBILE_PARTS: &[&str] =
    &["手机", "移动电话", "手機", "行動電話", "流動電話", "携帯", "휴대폰", "휴대전화"];
const PHONE_PARTS: &[&str] = &["电话", "联系方式", "電話", "聯絡方式", "전화"];
/// Looked for among a name's words: `cell` is in `Cell phone (work)` and not in `cancelled`.
const MOBILE_WORDS: &[&str] =
    &["mobile", "mobiles", "mobilephone", "cell", "cellphone", "cellular", "handphone", "msisdn"];
const PHONE_WORDS: &[&str] = &["phone", "phones", "telephone", "tel"];

/// A number that is most likely not the person's own mobile.
const OTHERS_PARTS: &[&str] = &[
    "紧急",
    "緊急",
    "家属",
    "亲属",
    "家长",
    "配偶",
    "备用",
    "担保",
    "推荐人",
    "办公",
    "座机",
    "固定",
    "公司",
    "總機",
    "总机",
];
const OTHERS_WORDS: &[&str] = &[
    "emergency",
    "office",
    "home",
    "landline",
    "backup",
    "spouse",
    "parent",
    "guardian",
    "kin",
    "company",
    "desk",
];
/// Not a number at all, or not one that rings.
const ABOUT_PARTS: &[&str] =
    &["品牌", "型号", "系统", "归属地", "运营商", "类型", "验证", "是否", "分机", "传真"];
const ABOUT_WORDS: &[&str] = &[
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

/// A name as it is compared with others: without spaces around it and without line ends and other characters that do
/// not show, in lower case, and in the usual width of each character (Unicode's compatibility form NFKC).
#[must_use]
pub(crate) fn folded(name: &str) -> String {
    let shown = |letter: &char| {
        !letter.is_control() && !matches!(letter, '\u{200b}'..='\u{200f}' | '\u{feff}')
    };
    name.nfkc().filter(shown).collect::<String>().to_lowercase().trim().to_owned()
}

/// What the name `header` says about its column.
#[must_use]
pub(crate) fn hint(header: &str) -> Hint {
    let words = words(header);
    let joined = words.concat();
    let has = |parts: &[&str], list: &[&str]| {
        parts.iter().any(|part| joined.contains(part))
            || words.iter().any(|word| list.contains(&word.as_str()))
    };
    if IS_MOBILE.contains(&joined.as_str()) {
        Hint::IsMobile
    } else if IS_PHONE.contains(&joined.as_str()) {
        Hint::IsPhone
    } else if has(ABOUT_PARTS, ABOUT_WORDS) {
        Hint::Nothing
    } else {
        let others = has(OTHERS_PARTS, OTHERS_WORDS);
        match (has(MOBILE_PARTS, MOBILE_WORDS), has(PHONE_PARTS, PHONE_WORDS)) {
            (true, _) if !others => Hint::HasMobile,
            (false, false) => Hint::Nothing,
            _ => Hint::HasPhone,
        }
    }
}

/// The words of a name in lower case: parted by what is neither letter nor digit, and where `camelCase` turns.
fn words(header: &str) -> Vec<String> {
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
    fn names_are_weighed() {
        let cases: [(&[&str], Hint); 5] = [
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
                Hint::IsMobile,
            ),
            (
                &["员工手机号(必填)", "Work mobile", "Mobile (private)", "联系手机", "userMobile"],
                Hint::HasMobile,
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
                Hint::IsPhone,
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
                Hint::HasPhone,
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
                ],
                Hint::Nothing,
            ),
        ];
        for (names, expected) in cases {
            for name in names {
                assert_eq!(hint(name), expected, "{name}");
            }
        }
        assert!(Hint::IsMobile > Hint::HasMobile && Hint::HasMobile > Hint::IsPhone);
    }
}
