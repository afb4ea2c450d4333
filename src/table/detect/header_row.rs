//! Decides whether the first row of a table is its header, and finds the header below a title.

use std::cmp::Reverse;

use crate::domain::number::cell::NumberCell;
use crate::domain::number::mobile::{DefaultRegion, NumberRules};
use crate::domain::number::plausible::could_be_number;
use crate::table::detect::country_words::match_country_header;
use crate::table::detect::header_words::{HeaderMatch, match_header, split_words};

/// What the first row of a table is. A header gets no answer, so a row about a person must not be
/// taken for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstRow {
    /// It has names of columns, or the user says so.
    Header,
    /// It may be about a person without a number.
    LikelyHeader,
    /// It has no number, but may be about a person.
    LikelyRow,
    /// It has a number, or the user says so.
    Row,
}

impl FirstRow {
    #[must_use]
    pub(crate) const fn is_header(self) -> bool {
        matches!(self, Self::Header | Self::LikelyHeader)
    }

    /// Whether all rows of the sample were compared, so that more of them may change this.
    #[must_use]
    pub(crate) const fn is_likely(self) -> bool {
        matches!(self, Self::LikelyHeader | Self::LikelyRow)
    }
}

/// Usual names of columns other than the number, as [`split_words`] gives them, joined. No cell of
/// a person has one of them.
const COLUMN_NAMES: &[&str] = &[
    "姓名",
    "名字",
    "名称",
    "员工姓名",
    "客户姓名",
    "联系人",
    "昵称",
    "性别",
    "年龄",
    "生日",
    "出生日期",
    "部门",
    "所属部门",
    "科室",
    "班组",
    "班级",
    "公司",
    "单位",
    "分公司",
    "职位",
    "职务",
    "职称",
    "岗位",
    "工号",
    "员工号",
    "员工编号",
    "人员编号",
    "编号",
    "编码",
    "序号",
    "学号",
    "身份证",
    "身份证号",
    "身份证号码",
    "证件号码",
    "号码",
    "邮箱",
    "电子邮箱",
    "邮件",
    "地址",
    "城市",
    "省份",
    "日期",
    "时间",
    "入职日期",
    "入职时间",
    "离职日期",
    "状态",
    "类型",
    "类别",
    "备注",
    "说明",
    "名稱",
    "員工姓名",
    "聯絡人",
    "性別",
    "年齡",
    "部門",
    "單位",
    "職位",
    "職務",
    "職稱",
    "工號",
    "員工編號",
    "編號",
    "序號",
    "號碼",
    "郵箱",
    "電子郵件",
    "時間",
    "狀態",
    "備註",
    "氏名",
    "名前",
    "部署",
    "社員番号",
    "備考",
    "이름",
    "성명",
    "부서",
    "비고",
    "name",
    "fullname",
    "firstname",
    "lastname",
    "givenname",
    "familyname",
    "surname",
    "nickname",
    "username",
    "userid",
    "employeename",
    "employeeid",
    "employeeno",
    "employeenumber",
    "staffid",
    "staffno",
    "id",
    "gender",
    "sex",
    "age",
    "birthday",
    "dateofbirth",
    "department",
    "dept",
    "division",
    "company",
    "organization",
    "position",
    "title",
    "jobtitle",
    "number",
    "email",
    "emailaddress",
    "address",
    "city",
    "status",
    "date",
    "hiredate",
    "remark",
    "remarks",
    "note",
    "notes",
    "comment",
    "comments",
    "description",
    "telefon",
    "telefonnummer",
    "telefono",
    "teléfono",
    "téléphone",
    "telefone",
    "telefoon",
    "rufnummer",
    "handy",
    "handynummer",
    "mobil",
    "mobilnummer",
    "móvil",
    "celular",
    "cellulare",
    "телефон",
    "vorname",
    "nachname",
    "nombre",
    "nom",
    "prénom",
    "nome",
    "naam",
    "имя",
    "фамилия",
    "фио",
];

/// A column name does not have this many digits; a damaged number does.
const MIN_NUMBER_DIGITS: usize = 7;

/// A title has at most this many lines with several cells.
const MAX_WIDE_TITLE_ROWS: usize = 5;

/// What the first of `rows` is.
///
/// It is about a person if it has a number. It is the header if it has names of columns, or if its
/// cells differ in kind from those below in several columns, or in all. Otherwise it is about a
/// person without a number: a row that is taken for the header gets no answer.
#[must_use]
pub(crate) fn judge_first_row(
    rows: &[Vec<String>],
    looks_like_mobile: &dyn Fn(&str) -> bool,
) -> FirstRow {
    let [first, others @ ..] = rows else { return FirstRow::Header };
    let names = count_names(first, others, looks_like_mobile);
    let has_several_names = names > 1;
    if has_several_names {
        // The name of a column may have a date or a number.
        return if first.iter().any(|cell| looks_like_mobile(cell)) {
            FirstRow::Row
        } else if first.iter().any(|cell| is_number(cell)) {
            FirstRow::LikelyRow
        } else {
            FirstRow::Header
        };
    }
    if first.iter().any(|cell| has_number(cell, looks_like_mobile)) {
        return FirstRow::Row;
    }
    let names_first_number = first_with_number(others, looks_like_mobile).is_some_and(|row| {
        first
            .iter()
            .zip(row)
            .any(|(name, cell)| is_exact(match_header(name)) && looks_like_mobile(cell))
    });
    let filled = count_filled(first);
    if names_first_number || (names == 1 && filled == 1) {
        return FirstRow::Header;
    }
    let below =
        |index: usize| others.iter().filter_map(move |row| row.get(index)).map(String::as_str);
    let are_mostly = |index: usize, holds: &dyn Fn(&str) -> bool| {
        let cells = below(index).filter(|cell| !is_blank(cell));
        let (all, some) =
            cells.fold((0, 0), |(all, some), cell| (all + 1, some + usize::from(holds(cell))));
        all > 0 && some * 2 >= all
    };
    let columns = |holds: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..first.len()).filter(|&index| are_mostly(index, holds)).collect()
    };
    let mobile = columns(looks_like_mobile);
    let numbers = if mobile.is_empty() { columns(&has_digits_of_number) } else { mobile };
    if numbers.is_empty() {
        return FirstRow::LikelyHeader;
    }
    // No header has a gap, or "none", above the numbers, or one of the cells below, unless it is
    // repeated.
    let lacks_number = numbers.iter().any(|&index| is_no_number(&first[index]));
    let recurs = |(index, cell): (usize, &String)| {
        !is_blank(cell) && others.iter().any(|row| row.get(index) == Some(cell) && row != first)
    };
    if lacks_number || first.iter().enumerate().any(recurs) {
        return FirstRow::LikelyRow;
    }
    // Elsewhere, a word for telephone is part of a department or of a remark.
    let is_name = |(index, cell): (usize, &String)| {
        is_other_name(cell)
            || (numbers.contains(&index) && match_header(cell) > HeaderMatch::NoMatch)
    };
    if first.iter().enumerate().any(is_name) {
        return FirstRow::LikelyHeader;
    }
    let differing = columns(&has_digit)
        .into_iter()
        .filter(|&index| !is_no_number(&first[index]) && !has_digit(&first[index]))
        .count();
    let with_cells = columns(&|_| true).len();
    if differing > 1 || differing == with_cells {
        FirstRow::LikelyHeader
    } else {
        FirstRow::LikelyRow
    }
}

/// Whether a cell of the first row has a number, or one that is damaged, so that the row is data.
#[must_use]
pub(crate) fn has_number(cell: &str, looks_like_mobile: &dyn Fn(&str) -> bool) -> bool {
    // A column name may contain an example: `手机（如13800138000）`.
    looks_like_mobile(cell)
        || (has_digits_of_number(cell) && match_header(cell) == HeaderMatch::NoMatch)
}

/// How many cells of a row are names of columns: usual ones, and others with a word for telephone
/// above the first number below. A person has at most one such cell.
#[must_use]
pub(crate) fn count_names(
    row: &[String],
    below: &[Vec<String>],
    looks_like_mobile: &dyn Fn(&str) -> bool,
) -> usize {
    let numbered = first_with_number(below, looks_like_mobile);
    let is_name = |(index, cell): &(usize, &String)| {
        let above_number =
            || numbered.and_then(|row| row.get(*index)).is_some_and(|cell| looks_like_mobile(cell));
        is_exact_name(cell) || (match_header(cell) > HeaderMatch::NoMatch && above_number())
    };
    row.iter().enumerate().filter(is_name).count()
}

fn first_with_number<'a>(
    rows: &'a [Vec<String>],
    looks_like_mobile: &dyn Fn(&str) -> bool,
) -> Option<&'a Vec<String>> {
    rows.iter().find(|row| row.iter().any(|cell| looks_like_mobile(cell)))
}

/// Whether a cell is a number and nothing else, be it mistyped or of a landline. The cells of a
/// title have dates, labels and other words.
#[must_use]
pub(crate) fn is_number(cell: &str) -> bool {
    let letters = cell.chars().filter(|letter| letter.is_alphabetic()).count();
    letters <= 1 && !cell.contains([':', '：']) && could_be_number(cell)
}

/// A header that is known by its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedHeader {
    /// The row at this position, from 0. It is above the first row with a number.
    Certain(usize),
    /// The same, but there is no number yet that confirms it.
    Unconfirmed(usize),
    /// The row at this position, but a row above it may be about a person.
    BelowPeople(usize),
}

/// Finds the row that names the column of the numbers below it, along with the name of another
/// column. One name is enough if the row has nothing else, or if nothing is above it: a person's
/// cell may be such a name. `is_requested` returns whether the user names a column of a row. The
/// row with the most names is the header; of several, it is the first, and the others are the
/// second line of a header or the header once more.
#[must_use]
pub(crate) fn find_named_header(
    rows: &[Vec<String>],
    is_requested: &dyn Fn(&[String]) -> bool,
    looks_like_mobile: &dyn Fn(&str) -> bool,
) -> Option<NamedHeader> {
    let has_mobiles = rows.iter().flatten().any(|cell| looks_like_mobile(cell));
    let has_any_number =
        |row: &Vec<String>| row.iter().any(|cell| looks_like_mobile(cell) || is_number(cell));
    let first_number = rows.iter().position(has_any_number);
    let matches_numbers = |index: usize, column: usize| {
        let mut cells = rows[index + 1..].iter().filter_map(|row| row.get(column));
        let found = match_header(&rows[index][column]);
        let is_named = found > HeaderMatch::NoMatch;
        (is_named && (!has_mobiles || cells.any(|cell| looks_like_mobile(cell)))).then_some(found)
    };
    let rank = |index: usize| {
        let row = &rows[index];
        if is_requested(row) {
            return Some((true, 0));
        }
        let columns = || 0..row.len();
        let found = columns().filter_map(|column| matches_numbers(index, column)).max()?;
        let is_name = |column: &usize| {
            is_exact_name(&row[*column]) || matches_numbers(index, *column).is_some()
        };
        let names = columns().filter(is_name).count();
        let is_first = has_mobiles && rows[..index].iter().flatten().all(|cell| is_blank(cell));
        let is_enough = is_exact(found) && (is_first || count_filled(row) == 1);
        (is_enough || names > 1).then_some((false, names))
    };
    // A row with as many cells as the header, among them one in the place of the number.
    let is_full = |row: &Vec<String>, index: usize| {
        let header = &rows[index];
        let is_in_place = |(column, cell): (usize, &String)| {
            column < header.len()
                && matches_numbers(index, column).is_some()
                && !is_blank(cell)
                && !has_digit(cell)
        };
        let is_title = |cell: &String| is_exact_name(cell) || cell.contains([':', '：']);
        count_filled(row) > 1
            && count_filled(row) >= count_filled(header)
            && row.iter().enumerate().any(is_in_place)
            && !row.iter().any(is_title)
    };
    let mut wide_rows = 0;
    let candidates = rows.iter().enumerate().take_while(|(_, row)| {
        let is_within = wide_rows <= MAX_WIDE_TITLE_ROWS;
        wide_rows += usize::from(count_filled(row) > 1);
        is_within
    });
    let candidates =
        candidates.map(|(index, _)| index).filter_map(|index| Some((rank(index)?, Reverse(index))));
    let (above, below): (Vec<_>, Vec<_>) = candidates
        .partition(|(_, Reverse(index))| first_number.is_none_or(|number| *index < number));
    let below = below.first().map(|(_, Reverse(index))| *index);
    let (found, is_below) = match above.into_iter().max() {
        Some(((is_requested, _), Reverse(index))) => {
            let has_people = rows[..index].iter().any(|row| is_full(row, index));
            (index, !is_requested && has_people)
        }
        None => (below?, true),
    };
    if !is_below && has_mobiles {
        Some(NamedHeader::Certain(found))
    } else if !is_below {
        Some(NamedHeader::Unconfirmed(found))
    } else {
        (found <= MAX_WIDE_TITLE_ROWS).then_some(NamedHeader::BelowPeople(found))
    }
}

fn is_exact(found: HeaderMatch) -> bool {
    matches!(found, HeaderMatch::ExactMobile | HeaderMatch::ExactPhone)
}

/// Whether a cell is nothing but the usual name of a column.
#[must_use]
pub(crate) fn is_exact_name(cell: &str) -> bool {
    is_exact(match_header(cell)) || is_other_name(cell)
}

/// Whether a cell is nothing but the usual name of a column other than the number.
fn is_other_name(cell: &str) -> bool {
    match_country_header(cell).is_some_and(|header| header.stem.is_empty())
        // `部门：` is the label of a cell beside it.
        || (!cell.contains([':', '：'])
            && COLUMN_NAMES.contains(&split_words(cell).concat().as_str()))
}

fn count_filled(row: &[String]) -> usize {
    row.iter().filter(|cell| !is_blank(cell)).count()
}

fn is_blank(cell: &str) -> bool {
    cell.trim().is_empty()
}

/// Whether a cell is empty, or says that there is no number.
fn is_no_number(cell: &str) -> bool {
    let rules = NumberRules { default_region: DefaultRegion::CHINA, strict: false };
    NumberCell::parse(cell, rules).is_err_and(|reason| reason.is_blank())
}

fn has_digit(cell: &str) -> bool {
    cell.chars().any(char::is_numeric)
}

fn has_digits_of_number(cell: &str) -> bool {
    cell.chars().filter(|letter| letter.is_numeric()).count() >= MIN_NUMBER_DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mobile(cell: &str) -> bool {
        cell.len() == 11 && cell.starts_with('1') && cell.bytes().all(|byte| byte.is_ascii_digit())
    }

    fn table(text: &str) -> Vec<Vec<String>> {
        text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
    }

    fn judged(first: &str, others: &str) -> FirstRow {
        judge_first_row(&table(&format!("{first}\n{others}")), &mobile)
    }

    const PEOPLE: &str = "李四,13800138000\n王五,13800138001\n";

    #[test]
    fn a_number_in_the_first_row_makes_it_a_row() {
        assert_eq!(judged("姓名,手机号", ""), FirstRow::Header);
        assert_eq!(judged("张三,13800138000", ""), FirstRow::Row);
        for damaged in ["010-62345678", "1391111222", "139111122210", "13911112221/13911112229"] {
            assert_eq!(judged(&format!("张三,{damaged}"), PEOPLE), FirstRow::Row, "{damaged}");
        }
    }

    #[test]
    fn names_of_columns_make_a_header() {
        for first in
            ["电话,", "甲,手机", "姓名,号码", "姓名,", "Vorname,Telefon", "x,手机（如13800138000）"]
        {
            assert!(judged(first, PEOPLE).is_header(), "{first}");
        }
        assert_eq!(judged("name,x", PEOPLE), FirstRow::LikelyHeader);
        assert_eq!(judged("x,Phone (work)", PEOPLE), FirstRow::LikelyHeader);
        assert_eq!(judged("国家码,x,号", "49,李四,13800138000\n"), FirstRow::LikelyHeader);
    }

    #[test]
    fn a_date_or_a_number_in_a_name_leaves_the_header() {
        for first in
            ["姓名,手机号,2024-11-30工资", "姓名,手机号,2024-11-30", "姓名,手机号,第20241130期"]
        {
            assert_eq!(judged(first, "张三,13800138000,5000\n"), FirstRow::Header, "{first}");
        }
        let rows = "张三,13800138000,5\n";
        assert_eq!(judged("姓名,手机号,1380013800", rows), FirstRow::LikelyRow);
        assert_eq!(judged("姓名,手机,13800138000", rows), FirstRow::Row);
        assert_eq!(judged("姓名,x,2024-11-30", rows), FirstRow::Row);
    }

    #[test]
    fn a_word_for_telephone_beside_the_number_is_no_name() {
        let rows = "李四,13800138000,研发部\n王五,13900139000,研发部\n";
        assert_eq!(judged("张三,,电话销售部", rows), FirstRow::LikelyRow);
        assert_eq!(judged("张三,无,电话销售部", rows), FirstRow::LikelyRow);
        assert_eq!(judged("张三,离职,手机", rows), FirstRow::LikelyRow);
        assert_eq!(judged("张三,,手机", "李四,13800138000,手机\n"), FirstRow::LikelyRow);
        assert_eq!(judged("员工,员工手机号,部", rows), FirstRow::LikelyHeader);
        assert_eq!(judged("员工,手机号,部", rows), FirstRow::Header);
        assert_eq!(judged("姓名,员工手机号,部", rows), FirstRow::Header);
    }

    #[test]
    fn a_first_person_without_a_number_is_no_header() {
        for first in ["张三,", "张三,离职", "张三,无", "张三,n/a", "甲,乙"] {
            assert_eq!(judged(first, PEOPLE), FirstRow::LikelyRow, "{first}");
        }
        let few = "N1,\nN2,\nN3,\nZ,13800138000\n";
        assert_eq!(judged("N0,", few), FirstRow::LikelyRow);
        // Its other cells are like those below, or are among them.
        let rows = "李四,E02,销售部,13800138000\n王五,E03,销售部,13800138001\n";
        assert_eq!(judged("张三,E01,研发部,离职", rows), FirstRow::LikelyRow);
        let rows = "李四,7,销售部,13800138000\n王五,8,销售部,13800138001\n";
        assert_eq!(judged("张三,无,销售部,离职", rows), FirstRow::LikelyRow);
        assert_eq!(judged("张三,离职", "李四,010-62345678\n"), FirstRow::LikelyRow);
    }

    #[test]
    fn cells_of_another_kind_make_a_header() {
        for (first, others) in [
            ("Wer,Wann,Wo", "李四,2024-05-01,13800138000\n"),
            ("Wer", "13800138000\n13800138001\n"),
            ("Wer,Wo", ",13800138000\n"),
            ("Wer,Wann,Wo", "李四,7,13800138000\nWer,Wann,Wo\n王五,8,13800138001\n"),
        ] {
            assert_eq!(judged(first, others), FirstRow::LikelyHeader, "{first}");
        }
    }

    fn named(text: &str) -> Option<NamedHeader> {
        find_named_header(&table(text), &|row| row.iter().any(|cell| cell == "mine"), &mobile)
    }

    #[test]
    fn the_header_is_the_row_with_the_most_names_above_the_numbers() {
        let people = "A,49,15123456789\nB,86,13800138000";
        for title in [
            "部门：,,日期",
            "部门：,,日期：2026-11-30",
            "员工表,,第1页",
            "员工花名册,,2026年11月",
            "编制单位：销售部,,2026-11-30",
            "制表人：张三,日期：2026-11-30",
            "基本信息,联系方式,",
            "基本信息,,联系方式",
            "name,phone info,",
            "公司：甲,,联系电话：010-62345678",
            "手机",
        ] {
            let text = format!("{title}\n姓名,国家码,手机号\n{people}");
            assert_eq!(named(&text), Some(NamedHeader::Certain(1)), "{title}");
        }
        let many = "说明\n".repeat(12);
        let text = format!("{many}姓名,国家码,手机号\n{people}");
        assert_eq!(named(&text), Some(NamedHeader::Certain(12)));
        let many = "a,b\n".repeat(6);
        assert_eq!(named(&format!("{many}姓名,国家码,手机号\n{people}")), None);
    }

    #[test]
    fn a_header_in_the_first_row_stays_the_header() {
        for text in [
            "姓名,手机号\nName,Mobile\nA,13800138000",
            "姓名,联系方式\n张三,手机\nA,13800138000",
            "姓名,手机号\n手机,手机\nA,13800138000",
            "mine,x\n姓名,手机号\nA,13800138000",
        ] {
            assert_eq!(named(text), Some(NamedHeader::Certain(0)), "{text}");
        }
        assert_eq!(named("a,b\n张三,无手机\nA,13800138000"), None);
        assert_eq!(named("title,x\n姓名,手机号\n"), Some(NamedHeader::Unconfirmed(1)));
        assert_eq!(named("谁,号,登录\n张三,1.38E+10,手机\n"), None);
        assert_eq!(
            named("管理员,13800138001\n姓名,手机号,部门\nA,13800138000,x"),
            Some(NamedHeader::BelowPeople(1))
        );
    }

    #[test]
    fn people_are_no_title() {
        for (text, header) in [
            ("张三,1380013800\n李四,138001380001\n姓名,手机号\n王五,13800138000", Some(2)),
            ("张三,010-62345678\n姓名,手机号\n王五,13800138000", Some(1)),
            ("张三,1380013800x\n姓名,手机号\n王五,010-62345678", Some(1)),
            ("张三,1.38E+10\n姓名,手机号\n王五,13800138000", Some(1)),
            ("张三,离职\n李四,无\n姓名,手机号\n王五,13800138000", Some(2)),
            // One such cell among others may be a person's.
            ("张三,010-62345678\n李四,手机\n王五,13800138000", None),
            ("姓名,号\n张三,手机\n李四,13800138000", None),
            ("张三,\n李四,\n王五,手机\n赵六,13800138000", None),
            ("张三,\n李四,x\n王五,电话销售部\n赵六,13800138000", None),
        ] {
            assert_eq!(named(text), header.map(NamedHeader::BelowPeople), "{text}");
        }
    }
}
