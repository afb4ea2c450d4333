//! Words in column names that indicate the countries of numbers.

use crate::table::detect::header_words::{HeaderMatch, is_other_phone, match_header, split_words};

/// What a column name says about countries; a stronger word is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CountryWord {
    /// Letters that may be a part of another word (`usercountry`, `estate_code`), or `state`.
    Part,
    /// Places, perhaps with their country: `Location`.
    Place,
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
    /// What is left of the name without its words for countries, as [`strip_phone_words`] gives it.
    pub stem: String,
    /// Whether it is about a number that is probably not the person's own mobile.
    pub is_other_phone: bool,
    /// Whether it is `stateCode`: DingTalk's field for calling codes, or one for states.
    pub is_state_code: bool,
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
            "国际长途区号",
            "国际长途代码",
            "国际电话区号",
            "国际区号",
            "国际冠码",
            "国际代码",
            "国际前缀",
            "国际码",
            "國際長途區號",
            "國際電話區號",
            "國際區號",
            "國家代碼",
            "國家碼",
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
            "intlcode",
            "intlprefix",
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
            "countryterritory",
            "countryorterritory",
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
/// Whole names that are too short to be looked for in others, such as `中国码头`.
const EXACT_WORDS: &[(&str, CountryWord)] = &[
    ("国码", CountryWord::CallingCode),
    ("國碼", CountryWord::CallingCode),
    ("cc", CountryWord::Region),
    ("idd", CountryWord::Region),
    ("isd", CountryWord::Region),
    ("nation", CountryWord::Region),
    ("dialing", CountryWord::AreaCode),
    ("dialling", CountryWord::AreaCode),
    ("dial", CountryWord::AreaCode),
    ("state", CountryWord::Part),
    ("归属地", CountryWord::Region),
    ("号码归属地", CountryWord::Region),
    ("land", CountryWord::Region),
    ("ctry", CountryWord::Region),
    ("telcode", CountryWord::CallingCode),
];
/// Words for places. A place of origin (籍贯) says nothing about the number.
const PLACE_SUBSTRINGS: &[&str] = &[
    "地址",
    "住址",
    "城市",
    "所在地",
    "地点",
    "地點",
    "工作地",
    "办公地",
    "辦公地",
    "常驻",
    "常駐",
    "驻地",
    "居住地",
    "现居",
    "位置",
];
const PLACE_WORDS: &[&str] =
    &["location", "city", "town", "address", "place", "site", "office", "base", "residence"];
/// Words that do not say whose country it is. A word precedes the words that it contains.
const FILLER_WORDS: &[&str] =
    &["required", "optional", "name", "english", "chinese", "code", "iso", "alpha", "the"];
const FILLER_SUBSTRINGS: &[&str] = &[
    "非必填",
    "必填",
    "选填",
    "必选",
    "可选",
    "必填項",
    "選填",
    "英文名称",
    "英文名",
    "英文",
    "中文名称",
    "中文名",
    "中文",
    "名称",
    "名稱",
    "所在",
    "所属",
    "所屬",
];
/// Words for what a few digits beside a telephone number are otherwise: an age, a count, an
/// identifier, a department.
const OTHER_SUBSTRINGS: &[&str] = &[
    "龄", "齡", "岁", "歲", "数", "數", "量", "序", "编号", "編號", "工号", "工號", "学号", "学籍",
    "额", "額", "价", "分", "年", "月", "日", "天", "次", "级", "級", "班", "楼", "樓", "层", "層",
    "座", "室", "排", "桌", "部", "科", "组", "組", "队", "岗", "身高", "体重", "尺码", "码数",
    "性别", "民族", "绩", "鞋", "房", "资", "微信", "状态", "狀態", "类型", "類型", "分机", "分機",
    "短号", "内线", "邮编", "邮政",
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
    "type",
    "flag",
    "active",
    "enabled",
    "deleted",
    "language",
    "lang",
    "ext",
    "extension",
    "zip",
    "zipcode",
    "postcode",
    "postal",
];
/// Words for where a person comes from, which says nothing about the number.
const ORIGIN_SUBSTRINGS: &[&str] = &["籍", "出生"];
const ORIGIN_WORDS: &[&str] = &["nationality", "citizenship", "birth", "origin"];
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
    let words = split_scripts(header);
    let joined = words.concat();
    let is_other_phone = is_other_phone(header);
    let names =
        || COUNTRY_WORDS.iter().flat_map(|(word, names)| names.iter().map(|name| (*word, *name)));
    let found = names().find_map(|(word, name)| Some((word, name, remove_name(&words, name)?)));
    let Some((word, name, rest)) = found else {
        let bare = strip_words(words);
        if let Some((_, word)) = EXACT_WORDS.iter().find(|(name, _)| *name == bare) {
            let (stem, is_state_code) = (String::new(), false);
            return Some(CountryHeader { word: *word, stem, is_other_phone, is_state_code });
        }
        let word =
            if names().any(|(_, name)| joined.contains(name)) || joined.ends_with(['国', '國']) {
                CountryWord::Part
            } else if is_place(header, &joined) {
                CountryWord::Place
            } else {
                return None;
            };
        // The whole name is its stem, so that it belongs to no number column.
        let (stem, is_state_code) = (joined, false);
        return Some(CountryHeader { word, stem, is_other_phone, is_state_code });
    };
    // `国家 Country` says it twice.
    let rest = names().fold(rest, |rest, (_, name)| remove_name(&rest, name).unwrap_or(rest));
    let (stem, is_state_code) = (strip_words(rest), name == "statecode");
    Some(CountryHeader { word, stem, is_other_phone, is_state_code })
}

fn is_place(header: &str, joined: &str) -> bool {
    let is_word = || split_words(header).iter().any(|word| PLACE_WORDS.contains(&word.as_str()));
    match_header(header) == HeaderMatch::NoMatch
        && (PLACE_SUBSTRINGS.iter().any(|part| joined.contains(part)) || is_word())
}

/// Whether the column name says that a few digits in its cells are something else than calling
/// codes: `年龄`, `部门编号`, `dept no`.
#[must_use]
pub(crate) fn is_other_content(header: &str) -> bool {
    let words = split_words(header);
    let joined = words.concat();
    OTHER_SUBSTRINGS.iter().any(|part| joined.contains(part))
        || words.iter().any(|word| OTHER_WORDS.contains(&word.as_str()) || word.ends_with("id"))
}

/// Whether the column name is about where a person comes from: `国籍`.
#[must_use]
pub(crate) fn is_origin(header: &str) -> bool {
    let words = split_words(header);
    let joined = words.concat();
    ORIGIN_SUBSTRINGS.iter().any(|part| joined.contains(part))
        || words.iter().any(|word| ORIGIN_WORDS.contains(&word.as_str()))
}

/// What is left of a column name without spaces, punctuation, and words that do not tell it from
/// the names of other number columns: of `Phone 1 - Value` it is `1`.
#[must_use]
pub(crate) fn strip_phone_words(header: &str) -> String {
    strip_words(split_scripts(header))
}

fn strip_words(mut words: Vec<String>) -> String {
    words.retain(|word| !FILLER_WORDS.contains(&word.as_str()));
    remove_words(remove_words(words.concat(), TELEPHONE_WORDS), FILLER_SUBSTRINGS)
}

/// The words of a name, which is also parted where letters, digits and Chinese, Japanese or Korean
/// characters meet. Adjacent words of the latter are one: `国家/地区`.
fn split_scripts(header: &str) -> Vec<String> {
    let script = |letter: char| match letter {
        letter if letter.is_ascii_digit() => 0,
        '\0'..'\u{2e80}' => 1,
        _ => 2,
    };
    let mut parts: Vec<String> = Vec::new();
    for word in split_words(header) {
        let mut is_first = true;
        for letter in word.chars() {
            let is_same =
                |part: &String| part.chars().next_back().map(script) == Some(script(letter));
            let is_joined = !is_first || script(letter) == 2;
            match parts.last_mut().filter(|part| is_joined && is_same(part)) {
                Some(part) => part.push(letter),
                None => parts.push(letter.to_string()),
            }
            is_first = false;
        }
    }
    parts
}

/// The words without `name`; `None` if they do not contain it. Letters must be whole words:
/// `estate_code` is no `statecode`.
fn remove_name(words: &[String], name: &str) -> Option<Vec<String>> {
    let mut rest = words.to_vec();
    if !name.is_ascii() {
        let word = rest.iter_mut().find(|word| word.contains(name))?;
        *word = word.replacen(name, "", 1);
        rest.retain(|word| !word.is_empty());
        return Some(rest);
    }
    let is_name = |run: &str| {
        let after = |word| run.strip_prefix(word) == Some(name);
        run == name || after("mobile") || after("phone")
    };
    let count = words.len();
    let mut runs = (0..count).flat_map(|start| (start + 1..=count).map(move |end| start..end));
    let run = runs.find(|run| is_name(&words[run.clone()].concat()))?;
    rest.drain(run);
    Some(rest)
}

fn remove_words(name: String, words: &[&str]) -> String {
    words.iter().fold(name, |name, word| name.replace(word, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn country_headers_are_recognized() {
        use CountryWord::{AreaCode, CallingCode, Country, Part, Place, Region};
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
            ("国家(必填)", Country, ""),
            ("所在国家/地区", Country, ""),
            ("国家英文名", Country, ""),
            ("国家 Country", Country, ""),
            ("国家码 (Country Code)", CallingCode, ""),
            ("Country/Territory", Country, ""),
            ("国家编号", Country, "编号"),
            ("Country ID", Country, "id"),
            ("Home country", Country, "home"),
            ("国际长途区号", CallingCode, ""),
            ("手机国码", CallingCode, ""),
            ("IDD", Region, ""),
            ("isd code", CallingCode, ""),
            ("mobilecountrycode", CallingCode, ""),
            ("estate_code", Part, "estatecode"),
            ("usercountry", Part, "usercountry"),
            ("state", Part, ""),
            ("Location", Place, "location"),
            ("Office", Place, "office"),
            ("工作地点", Place, "工作地点"),
            ("家庭地址", Place, "家庭地址"),
            ("Dialing", AreaCode, ""),
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
        for name in [
            "姓名",
            "手机号",
            "国籍",
            "籍贯",
            "code",
            "status",
            "部门",
            "CCB",
            "Office phone",
            "中国码头",
        ] {
            assert_eq!(match_country_header(name), None, "{name}");
        }
        for name in [
            "年龄",
            "部门编号",
            "工龄",
            "数量",
            "序号",
            "楼層",
            "Dept No.",
            "userId",
            "isActive",
            "分机号",
            "Ext.",
        ] {
            assert!(is_other_content(name), "{name}");
        }
        for name in ["Vorwahl", "代码", "XX", "备注", "", "Land", "state", "国籍"] {
            assert!(!is_other_content(name), "{name}");
        }
        assert!(match_country_header("紧急联系人国家码").unwrap().is_other_phone);
        assert_eq!(strip_phone_words("Phone 1 - Value"), "1");
        assert_eq!(strip_phone_words("手机号"), "");
        assert_eq!(strip_phone_words("手机号（必填）"), "");
    }
}
