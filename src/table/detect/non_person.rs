//! Recognizes rows of printed lists that are not about a person: totals, signatures, page numbers,
//! the header again.

use crate::domain::number::invalid::NonPerson;
use crate::table::detect::columns::is_same_name;
use crate::table::detect::header_row::is_exact_name;
use crate::table::detect::header_words::{HeaderMatch, match_header, normalize_name};
use crate::table::detect::layout::Layout;

/// Words for a total, before nothing, a sign, a digit, or a word for what is counted.
const TOTALS: &[&str] = &[
    "合计",
    "总计",
    "小计",
    "共计",
    "累计",
    "总数",
    "总人数",
    "合計",
    "總計",
    "小計",
    "共計",
    "累計",
    "總數",
    "總人數",
    "grandtotal",
    "subtotal",
    "total",
];
/// What a total counts.
const COUNTED: &[&str] = &["人数", "人數", "金额", "金額", "人", "数", "數"];
/// Words before a signature.
const SIGNATURES: &[&str] = &[
    "审核",
    "审批",
    "审定",
    "复核",
    "核准",
    "批准",
    "制表",
    "制单",
    "填表",
    "填报",
    "编制",
    "签字",
    "签名",
    "签章",
    "盖章",
    "審核",
    "審批",
    "覆核",
    "製表",
    "填報",
    "編製",
    "簽字",
    "簽名",
    "簽章",
    "蓋章",
    "preparedby",
    "approvedby",
    "checkedby",
    "reviewedby",
    "signature",
];
/// Words before a signature that are also the title of a person, unless a colon follows.
const SIGNING_TITLES: &[&str] = &["负责人", "经办人", "主管", "领导", "負責人", "經辦人", "領導"];
/// Who signs, or when.
const SIGNED: &[&str] = &["日期", "时间", "時間", "单位", "單位", "人", "者"];
/// What a page mark counts.
const PAGES: &[char] = &['页', '頁'];

/// What a row without a number is, if it is not about a person. `is_first` is whether the row
/// follows the header.
#[must_use]
pub(crate) fn classify(cells: &[&str], layout: &Layout, is_first: bool) -> Option<NonPerson> {
    let is_repeated = layout.dialect.has_headers && is_header(cells, layout, is_first);
    if is_repeated || has_column_names(cells, layout) {
        return Some(NonPerson::Header);
    }
    let mut filled = cells
        .iter()
        .map(|cell| normalize_name(cell).chars().filter(|c| !c.is_whitespace()).collect())
        .filter(|cell: &String| !cell.is_empty());
    let text = filled.next()?;
    // The word alone may be that of a person's department.
    if text.chars().all(char::is_alphabetic) && filled.any(|cell| could_be_name(&cell)) {
        return None;
    }
    if is_page_number(&text) {
        return Some(NonPerson::PageNumber);
    }
    if let Some(word) = find_word(TOTALS, &text, COUNTED) {
        return Some(NonPerson::Total(word));
    }
    let is_headcount = text.strip_prefix('共').is_some_and(|rest| {
        rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len() < rest.len()
            && rest.ends_with(['人', '名', '位'])
    });
    if is_headcount {
        return Some(NonPerson::Total("共"));
    }
    let titled = SIGNING_TITLES
        .iter()
        .find(|title| text.strip_prefix(**title).is_some_and(|rest| rest.starts_with(':')));
    find_word(SIGNATURES, &text, SIGNED).or(titled.copied()).map(NonPerson::Signature)
}

/// Whether a cell may be the name of a person, and not one of the words, labels and numbers in a
/// row for totals or signatures.
fn could_be_name(text: &str) -> bool {
    text.contains(char::is_alphabetic)
        && !text.contains(|c: char| c == ':' || c.is_numeric())
        && find_word(TOTALS, text, COUNTED).is_none()
        && find_word(SIGNATURES, text, SIGNED).is_none()
        && ![COUNTED, SIGNING_TITLES, SIGNED].concat().contains(&text)
}

/// Whether the row has the names of the columns: the same ones, or, below the header, those of
/// another language.
fn is_header(cells: &[&str], layout: &Layout, is_first: bool) -> bool {
    let filled = || cells.iter().enumerate().filter(|(_, cell)| !cell.trim().is_empty());
    let mut numbers = layout.columns.iter().filter_map(|column| cells.get(column.index));
    let is_same = |(index, cell): (usize, &&str)| {
        layout.first_row.get(index).is_some_and(|name| is_same_name(cell, name))
    };
    let names_number = |cell: &&str| {
        matches!(match_header(cell), HeaderMatch::ExactMobile | HeaderMatch::ExactPhone)
    };
    let has_digits = |cell: &str| cell.chars().any(char::is_numeric);
    (filled().next().is_some()
        && filled().all(is_same)
        && numbers.clone().any(|cell| !cell.trim().is_empty()))
        || (is_first
            && filled().count() > 1
            && numbers.any(names_number)
            && !filled().any(|(_, cell)| has_digits(cell)))
}

/// Whether the cells are usual names of columns, one of them that of numbers, or names that the
/// table has: the header of another page or of another table.
fn has_column_names(cells: &[&str], layout: &Layout) -> bool {
    let filled = || cells.iter().filter(|cell| !cell.trim().is_empty());
    let is_known = |cell: &str| {
        let has_name = |name: &String| layout.dialect.has_headers && is_same_name(cell, name);
        is_exact_name(cell) || layout.first_row.iter().any(has_name)
    };
    let names_number =
        |cell: &&str| match_header(cell) >= HeaderMatch::ExactPhone && is_exact_name(cell);
    (filled().count() > 1 || layout.width() == 1)
        && filled().any(names_number)
        && filled().all(|cell| is_known(cell))
}

/// The word that `text` begins with, if nothing follows it that makes another word of it.
fn find_word(
    words: &'static [&'static str],
    text: &str,
    suffixes: &[&str],
) -> Option<&'static str> {
    words.iter().copied().find(|word| {
        let Some(rest) = text.strip_prefix(word) else { return false };
        let rest = suffixes.iter().find_map(|suffix| rest.strip_prefix(suffix)).unwrap_or(rest);
        !rest.starts_with(char::is_alphabetic)
    })
}

/// `第1页`, `共3页`, `page 1 of 3`, without spaces.
fn is_page_number(text: &str) -> bool {
    let after_digits = |rest: &str| {
        let end = rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).to_owned();
        (end.len() < rest.len()).then_some(end)
    };
    let marks = ["第", "共"].iter().filter_map(|mark| after_digits(text.strip_prefix(mark)?));
    let page = text.strip_prefix("page").and_then(after_digits);
    marks.into_iter().any(|rest| rest.starts_with(PAGES))
        || page.is_some_and(|rest| {
            rest.is_empty() || !rest.starts_with(char::is_alphabetic) || rest.starts_with("of")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::detect::columns::Column;
    use crate::table::detect::dialect::Dialect;
    use crate::table::detect::encoding::{DetectedEncoding, EncodingReason};
    use crate::table::detect::header_row::FirstRow;
    use crate::table::raw::encoding::Encoding;

    fn classified(row: &str, is_first: bool) -> Option<NonPerson> {
        let encoding = DetectedEncoding {
            encoding: Encoding::Utf8,
            bom_len: 0,
            reason: EncodingReason::Ascii,
        };
        let layout = Layout {
            dialect: Dialect::new(&encoding, ',', true),
            first_row_kind: FirstRow::Header,
            columns: vec![Column { index: 1, name: None, reason: String::new() }],
            country_columns: Vec::new(),
            extra_columns: Vec::new(),
            person_columns: Vec::new(),
            first_row: ["姓名", "手机号", "备注"].map(str::to_owned).to_vec(),
            unnamed_columns: 0,
        };
        classify(&row.split(',').collect::<Vec<_>>(), &layout, is_first)
    }

    #[test]
    fn rows_of_printed_lists_are_recognized() {
        for (row, expected) in [
            ("合计：2人,,", NonPerson::Total("合计")),
            (",合 计,", NonPerson::Total("合计")),
            ("小计(3),,", NonPerson::Total("小计")),
            ("总人数 5,,", NonPerson::Total("总人数")),
            ("合计人数：5,,", NonPerson::Total("合计")),
            ("共 12 人,,", NonPerson::Total("共")),
            ("Grand Total,,", NonPerson::Total("grandtotal")),
            ("TOTAL: 2,,", NonPerson::Total("total")),
            ("审核：,,制表：", NonPerson::Signature("审核")),
            ("制表人：李四,,", NonPerson::Signature("制表")),
            ("制表日期：2024年5月1日,,", NonPerson::Signature("制表")),
            ("负责人：,,", NonPerson::Signature("负责人")),
            ("Approved by: ,,", NonPerson::Signature("approvedby")),
            ("合计,25人,", NonPerson::Total("合计")),
            ("合计,人数,25", NonPerson::Total("合计")),
            ("小计：,李四,", NonPerson::Total("小计")),
            ("审核：,王五,", NonPerson::Signature("审核")),
            ("审核,批准人,日期", NonPerson::Signature("审核")),
            ("第1页,,", NonPerson::PageNumber),
            ("第 １ 页 共 3 页,,", NonPerson::PageNumber),
            ("Page 1 of 3,,", NonPerson::PageNumber),
            ("姓名,手机号,备注", NonPerson::Header),
            ("\u{feff}姓名, 手机号,", NonPerson::Header),
            ("姓名,手机,备注", NonPerson::Header),
            ("姓名,手机号码,", NonPerson::Header),
            ("工号,手机号,部门", NonPerson::Header),
            ("部门,姓名,联系电话", NonPerson::Header),
            ("Name,Mobile Phone,备注", NonPerson::Header),
        ] {
            assert_eq!(classified(row, false), Some(expected), "{row}");
        }
        assert_eq!(classified("Name,Mobile,Remark", true), Some(NonPerson::Header));
    }

    #[test]
    fn people_without_a_number_are_people() {
        for row in [
            "张三,,合计",
            "总计划部,无,",
            "小计策,,",
            "Total Wine,,",
            "审核员,张三,",
            "审核,王五,",
            "合计,李四,",
            "制表人,Li Si,无",
            ",total,李四",
            "主管,,",
            "第五页,,",
            "共青团,,",
            "张三,手机,",
            "张三,电话,备注",
            ",手机,",
            "姓名,,备注",
            "部门,紧急联系电话,",
            "姓名,,",
            ",,",
            "Pageant,,",
        ] {
            assert_eq!(classified(row, false), None, "{row}");
        }
        assert_eq!(classified("李四,手机1,", true), None);
    }
}
