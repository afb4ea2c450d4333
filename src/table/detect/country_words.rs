//! Words in column names that indicate the countries of numbers.

use crate::table::detect::header_words::{is_other_phone, split_words};

/// What a column name says about countries; a stronger word is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CountryWord {
    /// Countries, or any other regions.
    Region,
    /// Calling codes, or area codes of one country.
    AreaCode,
    Country,
    CallingCode,
}

/// A column name that indicates the countries of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CountryHeader {
    pub word: CountryWord,
    /// The name without its words for countries and telephones, as [`strip_phone_words`] gives it.
    pub stem: String,
    /// Whether it is about a number that is probably not the person's own mobile.
    pub is_other_phone: bool,
}

/// Names without spaces. A name precedes the names that it contains.
const COUNTRY_WORDS: [(CountryWord, &[&str]); 4] = [
    (
        CountryWord::CallingCode,
        &[
            "国家或地区代码",
            "国家地区代码",
            "国家地区码",
            "国家和地区代码",
            "国家代码",
            "国家代号",
            "国家编码",
            "国家区号",
            "国家号",
            "国家码",
            "国别代码",
            "国别码",
            "国际电话区号",
            "国际区号",
            "国际冠码",
            "国际代码",
            "国际前缀",
            "国际码",
            "国码",
            "國際電話區號",
            "國際區號",
            "國家代碼",
            "國家碼",
            "國碼",
            "国番号",
            "국가번호",
            "국가코드",
            "countrycallingcode",
            "countrydialingcode",
            "countrydiallingcode",
            "countrydialcode",
            "countryregioncode",
            "countrycode",
            "internationalcode",
            "internationalprefix",
            "callingcode",
            "callcode",
            "dialingcode",
            "diallingcode",
            "dialcode",
            "statecode",
            "countryprefix",
            "isdcode",
            "iddcode",
            "nationcode",
            "phonecode",
            "dialprefix",
            "dialingprefix",
            "callingprefix",
        ],
    ),
    (
        CountryWord::Country,
        &[
            "国家或地区",
            "国家和地区",
            "国家地区",
            "所在国家",
            "所属国家",
            "国家名称",
            "国家名",
            "国家",
            "国别",
            "國別",
            "國家或地區",
            "國家地區",
            "國家",
            "국가",
            "countryorregion",
            "countryregion",
            "countryname",
            "countryiso2",
            "countryiso3",
            "countryiso",
            "country",
        ],
    ),
    (CountryWord::AreaCode, &["区号", "區號", "地区号", "areacode", "areaprefix"]),
    (
        CountryWord::Region,
        &[
            "地区代码",
            "地区码",
            "所在地区",
            "地区",
            "地區",
            "区域",
            "區域",
            "籍贯国",
            "前缀",
            "regioncode",
            "regionname",
            "region",
            "prefix",
            "isocode",
            "iso2",
            "iso3",
        ],
    ),
];
/// Whole names that are too short to be looked for in others.
const EXACT_WORDS: &[(&str, CountryWord)] =
    &[("cc", CountryWord::Region), ("nation", CountryWord::Region)];
/// Words for what a number or a country beside a telephone number is otherwise: an age, a count, an
/// identifier, a department, a nationality.
const OTHER_SUBSTRINGS: &[&str] = &[
    "龄", "齡", "岁", "歲", "数", "數", "量", "序", "编号", "編號", "工号", "工號", "学号", "学籍",
    "额", "額", "价", "分", "年", "月", "日", "天", "次", "级", "級", "班", "楼", "樓", "层", "层",
    "座", "室", "排", "桌", "部", "科", "组", "組", "队", "岗", "身高", "体重", "尺码", "码数",
    "性别", "国籍", "國籍", "民族", "出生", "状态", "狀態", "类型", "類型",
];
const OTHER_WORDS: &[&str] = &[
    "age",
    "years",
    "days",
    "id",
    "ids",
    "no",
    "num",
    "number",
    "seq",
    "index",
    "count",
    "qty",
    "quantity",
    "amount",
    "price",
    "rank",
    "level",
    "grade",
    "class",
    "score",
    "points",
    "dept",
    "department",
    "division",
    "team",
    "group",
    "unit",
    "room",
    "floor",
    "seat",
    "table",
    "size",
    "height",
    "weight",
    "sex",
    "gender",
    "status",
    "state",
    "type",
    "flag",
    "active",
    "enabled",
    "deleted",
    "nationality",
    "citizenship",
    "birth",
    "born",
    "language",
    "lang",
];
/// Words for telephones, without spaces. A word precedes the words that it contains.
const TELEPHONE_WORDS: &[&str] = &[
    "手机号码",
    "手机电话",
    "手机号",
    "手机",
    "手機號碼",
    "手機號",
    "手機",
    "移动电话号码",
    "移动电话",
    "行動電話",
    "流動電話",
    "电话号码",
    "联系电话",
    "电话",
    "電話號碼",
    "電話番号",
    "聯絡電話",
    "電話",
    "联系方式",
    "联系号码",
    "号码",
    "號碼",
    "mobilephonenumber",
    "mobilephoneno",
    "mobilephone",
    "mobilenumber",
    "mobileno",
    "mobilenum",
    "mobile",
    "cellphonenumber",
    "cellphone",
    "cell",
    "telephonenumber",
    "telephone",
    "phonenumber",
    "phoneno",
    "phonenum",
    "phone",
    "telno",
    "tel",
    "msisdn",
    "number",
    "value",
];

/// What the column name `header` says about the countries of numbers.
#[must_use]
pub(crate) fn match_country_header(header: &str) -> Option<CountryHeader> {
    let joined = split_words(header).concat();
    if let Some((_, word)) = EXACT_WORDS.iter().find(|(name, _)| *name == joined) {
        return Some(CountryHeader { word: *word, stem: String::new(), is_other_phone: false });
    }
    let (word, name) = COUNTRY_WORDS.iter().find_map(|(word, names)| {
        names.iter().find(|name| joined.contains(**name)).map(|name| (*word, *name))
    })?;
    let is_other_phone = is_other_phone(header);
    let stem = remove_words(joined.replacen(name, "", 1), TELEPHONE_WORDS);
    Some(CountryHeader { word, stem, is_other_phone })
}

/// Whether the column name says that its cells are something else than the countries of numbers,
/// although they may look like them: `年龄`, `部门编号`, `国籍`, `dept no`.
#[must_use]
pub(crate) fn is_other_content(header: &str) -> bool {
    let words = split_words(header);
    let joined = words.concat();
    OTHER_SUBSTRINGS.iter().any(|part| joined.contains(part))
        || words.iter().any(|word| OTHER_WORDS.contains(&word.as_str()) || word.ends_with("id"))
}

/// A column name without its words for telephones, spaces and punctuation: what is left of
/// `Phone 1 - Value` is `1`.
#[must_use]
pub(crate) fn strip_phone_words(header: &str) -> String {
    remove_words(split_words(header).concat(), TELEPHONE_WORDS)
}

fn remove_words(name: String, words: &[&str]) -> String {
    words.iter().fold(name, |name, word| name.replace(word, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn country_headers_are_recognized() {
        use CountryWord::{AreaCode, CallingCode, Country, Region};
        for (name, word, stem) in [
            ("state_code", CallingCode, ""),
            ("stateCode", CallingCode, ""),
            ("Country Code", CallingCode, ""),
            ("country_code", CallingCode, ""),
            ("国家码", CallingCode, ""),
            ("国际区号", CallingCode, ""),
            ("国家/地区代码", CallingCode, ""),
            ("手机国家码", CallingCode, ""),
            ("mobile country code", CallingCode, ""),
            ("Phone 1 - Country Code", CallingCode, "1"),
            ("紧急联系人国家码", CallingCode, "紧急联系人"),
            ("国家", Country, ""),
            ("国家/地区", Country, ""),
            ("Country", Country, ""),
            ("Country/Region", Country, ""),
            ("country of birth", Country, "ofbirth"),
            ("区号", AreaCode, ""),
            ("手机区号", AreaCode, ""),
            ("地区", Region, ""),
            ("region", Region, ""),
            ("区域", Region, ""),
            ("CC", Region, ""),
            ("phone_code", CallingCode, ""),
            ("nationCode", CallingCode, ""),
            ("dial_code", CallingCode, ""),
            ("calling code", CallingCode, ""),
            ("国别", Country, ""),
            ("nation", Region, ""),
            ("country_iso2", Country, ""),
        ] {
            let header = match_country_header(name).unwrap();
            assert_eq!((header.word, &*header.stem), (word, stem), "{name}");
        }
        for name in
            ["姓名", "手机号", "国籍", "nationality", "code", "state", "部门", "account", "CCB"]
        {
            assert_eq!(match_country_header(name), None, "{name}");
        }
        for name in
            ["年龄", "部门编号", "工龄", "数量", "序号", "国籍", "Dept No.", "userId", "isActive"]
        {
            assert!(is_other_content(name), "{name}");
        }
        for name in ["Vorwahl", "代码", "XX", "备注", "", "Land"] {
            assert!(!is_other_content(name), "{name}");
        }
        assert!(match_country_header("紧急联系人国家码").unwrap().is_other_phone);
        assert_eq!(strip_phone_words("Phone 1 - Value"), "1");
        assert_eq!(strip_phone_words("手机号"), "");
    }
}
