//! Finds the columns that show to a person who a row is about, such as staff number and name.

use std::collections::HashSet;

use crate::domain::number::plausible::could_be_number;
use crate::table::detect::header_words::{is_other_phone, split_words};

/// At most so many columns are shown.
const MAX_COLUMNS: usize = 3;
/// Of the columns whose header names a person, the first two are staff number and name.
const MAX_NAMED: usize = 2;

/// Names of such columns, without spaces and punctuation.
const EXACT: &[&str] = &[
    "编号",
    "學號",
    "学号",
    "名字",
    "花名",
    "中文名",
    "员工",
    "员工号",
    "员工编号",
    "人员编号",
    "职工号",
    "职工编号",
    "員工編號",
    "人員編號",
    "氏名",
    "名前",
    "社員番号",
    "이름",
    "성명",
    "사번",
    "name",
    "names",
    "fullname",
    "realname",
    "displayname",
    "employee",
    "employeename",
    "staffname",
    "firstname",
    "lastname",
    "employeeid",
    "employeeno",
    "employeenumber",
    "employeecode",
    "staffid",
    "staffno",
    "staffnumber",
    "staffcode",
    "empid",
    "empno",
    "jobno",
    "jobnumber",
    "personid",
    "personnelno",
    "personnelnumber",
    "studentid",
    "studentno",
];
/// Matched anywhere in a name, because Chinese does not separate words.
const SUBSTRINGS: &[&str] = &["姓名", "工号", "工號"];
/// Parts of names of columns about a superior.
const SUPERIOR: &[&str] = &["主管", "上级", "上級", "领导", "領導", "经理", "負責人", "负责人"];

/// The columns, from 0, by which people tell the rows apart, in their order in the table.
/// `excluded` are columns with other content: numbers, countries, answers.
///
/// Columns whose header says that they are about the person come first. If these do not tell the
/// sample rows apart, further columns do, from the left: those that make more rows distinct.
#[must_use]
pub(crate) fn find_person_columns(
    first_row: &[String],
    has_headers: bool,
    sample_rows: &[Vec<String>],
    excluded: &[usize],
) -> Vec<usize> {
    let candidates = (0..first_row.len()).filter(|column| !excluded.contains(column));
    let mut chosen: Vec<usize> = candidates
        .clone()
        .filter(|&column| has_headers && is_person_header(&first_row[column]))
        .take(MAX_NAMED)
        .collect();
    let mut distinct = count_distinct(sample_rows, &chosen);
    for column in candidates {
        if chosen.len() == MAX_COLUMNS || distinct == sample_rows.len() {
            break;
        }
        if chosen.contains(&column) || !describes_people(sample_rows, column) {
            continue;
        }
        chosen.push(column);
        let more = count_distinct(sample_rows, &chosen);
        if more > distinct {
            distinct = more;
        } else {
            chosen.pop();
        }
    }
    chosen.sort_unstable();
    chosen
}

fn is_person_header(header: &str) -> bool {
    let name = split_words(header).concat();
    let has_any = |words: &[&str]| words.iter().any(|word| name.contains(word));
    EXACT.contains(&name.as_str())
        || (has_any(SUBSTRINGS) && !has_any(SUPERIOR) && !is_other_phone(header))
}

/// How many of the rows differ in these columns. Without columns, none does.
fn count_distinct(rows: &[Vec<String>], columns: &[usize]) -> usize {
    let key = |row: &Vec<String>| -> Vec<String> {
        columns.iter().map(|&column| cell(row, column).to_owned()).collect()
    };
    if columns.is_empty() { 0 } else { rows.iter().map(key).collect::<HashSet<_>>().len() }
}

/// Whether most rows have a cell in the column, and it is neither a running number, which says no
/// more than the number of the row, nor a phone number or the like, which is masked.
fn describes_people(rows: &[Vec<String>], column: usize) -> bool {
    let cells: Vec<&str> = rows.iter().map(|row| cell(row, column)).collect();
    let filled = cells.iter().filter(|cell| !cell.is_empty()).count();
    let numbers = cells.iter().filter(|cell| could_be_number(cell)).count();
    filled * 2 > cells.len() && numbers * 2 < filled && !is_running_number(&cells)
}

fn is_running_number(cells: &[&str]) -> bool {
    let values: Vec<Option<u64>> = cells
        .iter()
        .filter(|cell| !cell.is_empty())
        .map(|cell| cell.parse().ok().filter(|_| !cell.starts_with('0') || *cell == "0"))
        .collect();
    let follows =
        |pair: &&[Option<u64>]| matches!(pair, [Some(one), Some(next)] if one + 1 == *next);
    values.first().is_some_and(|first| matches!(first, Some(0 | 1)))
        && values.windows(2).filter(follows).count() * 2 >= values.len() - 1
}

fn cell(row: &[String], column: usize) -> &str {
    row.get(column).map_or("", |cell| cell.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, excluded: &[usize]) -> Vec<usize> {
        let mut rows: Vec<Vec<String>> =
            text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect();
        let first = rows.remove(0);
        find_person_columns(&first, true, &rows, excluded)
    }

    #[test]
    fn headers_name_staff_number_and_name() {
        assert_eq!(found("序号,工号,姓名,部门,手机\n1,001,甲,人事,\n2,002,甲,人事,", &[4]), [1, 2]);
        assert_eq!(found("Dept,Full Name,Mobile\nHR,Ann,\nIT,Bob,", &[2]), [1]);
        assert_eq!(found("姓名(必填),手机\n甲,1\n乙,2", &[1]), [0]);
        assert_eq!(found("手机,姓名,工号\n1,甲,1\n2,乙,2", &[0]), [1, 2]);
        assert_eq!(found("紧急联系人姓名,主管工号,姓名,手机\nx,1,甲,\ny,2,乙,", &[3]), [2]);
    }

    #[test]
    fn the_first_columns_that_tell_rows_apart_are_taken() {
        // A name alone is not enough for two people of that name.
        assert_eq!(found("公司,部门,姓名,手机\nx,人事,甲,\nx,财务,甲,", &[3]), [1, 2]);
        assert_eq!(
            found("部门,岗位,备注,手机\n人事,经理,,\n人事,助理,,\n财务,经理,,", &[3]),
            [0, 1]
        );
        assert_eq!(found("序号,代码,手机\n1,a,\n2,b,", &[2]), [1]);
        assert_eq!(found("家庭电话,代码,手机\n13900000000,a,\n13900000001,b,", &[2]), [1]);
        assert_eq!(found("手机\n1\n2", &[0]), [0_usize; 0]);
        assert_eq!(found("代码,手机\nx,1", &[1]), [0]);
    }

    #[test]
    fn without_a_header_only_the_cells_count() {
        let rows: Vec<Vec<String>> =
            [["甲", "1"], ["乙", "2"]].map(|row| row.map(str::to_owned).to_vec()).to_vec();
        assert_eq!(find_person_columns(&rows[0].clone(), false, &rows, &[1]), [0]);
    }
}
