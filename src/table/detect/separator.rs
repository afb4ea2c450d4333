//! Finds what separates the number from the rest where each row of a table with one column seems
//! to hold several cells: a delimiter that is not detected, or columns of fixed width.

use tr::tr;

use crate::domain::number::cell::NumberCell;
use crate::domain::number::invalid::Invalid;
use crate::domain::number::mobile::NumberRules;
use crate::table::detect::dialect::DELIMITERS;

/// The most cells that are looked at.
const MAX_CELLS: u64 = 1000;
/// The bytes of the longest cell that is split.
const MAX_CELL_BYTES: usize = 1 << 10;
/// The delimiters that are not detected, because people write them inside a cell too. In case of a
/// tie, an earlier one is meant.
const OTHER_SEPARATORS: [char; 22] = [
    '^', '~', '\u{1}', '\u{1f}', '#', '、', '｜', '&', '$', '%', '!', '*', '=', '_', '@', '<', '>',
    '/', ':', '.', '-', ' ',
];

/// The characters that may separate cells. The usual ones do where the user named another.
fn separators() -> impl Iterator<Item = char> {
    DELIMITERS.into_iter().chain(OTHER_SEPARATORS)
}

/// Looks at the number cells of a table until one of them is a number.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeparatorSurvey {
    /// The cells that were looked at, without those that are empty or say that there is no number.
    cells: u64,
    /// How many of them have a number beside other text.
    with_number: u64,
    /// The parts of the cells, for each of [`separators`].
    parts: [PartCount; DELIMITERS.len() + OTHER_SEPARATORS.len()],
    has_runs_of_spaces: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct PartCount {
    /// How many cells have a number in a part of its own.
    cells: u64,
    /// The parts of the first of them.
    parts: usize,
    /// How many cells have as many.
    same: u64,
}

impl SeparatorSurvey {
    /// Looks at a cell that is no number for `reason`.
    pub(crate) fn add(&mut self, cell: &str, reason: &Invalid, rules: NumberRules) {
        if self.cells == MAX_CELLS
            || matches!(reason, Invalid::Empty | Invalid::NoNumber | Invalid::NonPerson(_))
        {
            return;
        }
        self.cells += 1;
        let reason = if let Invalid::Several { reason, .. } = reason { reason } else { reason };
        let may_have_number = matches!(reason, Invalid::NotANumber | Invalid::MoreThanNumbers);
        if !may_have_number || cell.len() > MAX_CELL_BYTES {
            return;
        }
        let is_number = |text: &str| NumberCell::parse(text, rules).is_ok();
        let text = cell.trim();
        let number = text.trim_matches(|c: char| !c.is_numeric() && c != '+');
        // One character too many is a mistyped number.
        let mut has_number = text.chars().count() > number.chars().count() + 1 && is_number(number);
        for (separator, count) in separators().zip(&mut self.parts) {
            if !text.contains(separator) || !text.split(separator).any(is_number) {
                continue;
            }
            has_number = true;
            let parts = text.split(separator).count();
            if count.cells == 0 {
                count.parts = parts;
            }
            count.cells += 1;
            count.same += u64::from(count.parts == parts);
        }
        self.with_number += u64::from(has_number);
        self.has_runs_of_spaces |= has_number && text.contains("  ");
    }

    /// What separates the cells, if half of the cells hold a number beside other text.
    #[must_use]
    pub(crate) fn finish(&self) -> Option<Separator> {
        if self.with_number == 0 || self.with_number * 2 < self.cells {
            return None;
        }
        let counts = separators().zip(&self.parts);
        let best =
            counts.reduce(|best, other| if other.1.same > best.1.same { other } else { best });
        match best {
            Some((' ', count)) if count.same > 0 && self.has_runs_of_spaces => {
                Some(Separator::RunsOfSpaces)
            }
            Some((separator, count)) if count.same > 0 && count.same == self.with_number => {
                Some(Separator::Delimiter(separator))
            }
            _ => None,
        }
    }
}

/// What separates a number from the other text of its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// A delimiter that gives all cells as many parts.
    Delimiter(char),
    /// Columns of a fixed width.
    RunsOfSpaces,
}

impl Separator {
    /// What to do.
    #[must_use]
    pub(crate) fn remedy(self) -> String {
        let Self::Delimiter(separator) = self else {
            return tr!(
                "the columns seem to be aligned with spaces: save the list with a delimiter such \
                 as a comma"
            );
        };
        // Not every shell knows the quotes that other characters need.
        let (name, flag) = match separator {
            ' ' => (tr!("a space"), "--delimiter"),
            '\t' => (tr!("a tab"), "-d tab"),
            c if c.is_control() => (format!("U+{:04X}", u32::from(c)), "--delimiter"),
            c => (format!("({c})"), "--delimiter"),
        };
        tr!("the cells seem to be separated by {name}: give this delimiter with {flag}", name, flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::DefaultRegion;

    fn separator(cells: &[&str]) -> Option<Separator> {
        let rules = NumberRules { default_region: DefaultRegion::CHINA, strict: false };
        let mut survey = SeparatorSurvey::default();
        for cell in cells {
            survey.add(cell, &NumberCell::parse(cell, rules).unwrap_err(), rules);
        }
        survey.finish()
    }

    #[test]
    fn the_separator_of_the_number_is_found() {
        for (cells, expected) in [
            (&["张三^13800138000", "李四^13900139000", ""][..], Separator::Delimiter('^')),
            (&["1~张三~13800138000~a-b", "2~李四~13900139000~"], Separator::Delimiter('~')),
            (&["张三\u{1}13800138000"], Separator::Delimiter('\u{1}')),
            (&["张三 13800138000", "李四 13900139000"], Separator::Delimiter(' ')),
            (&["张三、13800138000、x y"], Separator::Delimiter('、')),
            (&["张三      13800138000", "欧阳光明  13900139000"], Separator::RunsOfSpaces),
            (&["张三^13800138000", "李四^1390013"], Separator::Delimiter('^')),
            (&["张三;13800138000;a", "李四;1390013;"], Separator::Delimiter(';')),
        ] {
            assert_eq!(separator(cells), Some(expected), "{cells:?}");
        }
        for cells in [
            &["", "无", "-"][..],
            &["1380013800", "138001380001"],
            &["1380013800x", "无效"],
            &["13800138000x", "l3800138000"],
            &["1.38E+10", "张三^13800138000", "12345678"],
            &["Zhang San 13800138000", "Li 13900139000"],
            &["张三 138 0013 8000", "李四 139 0013 9000"],
            &["张三13800138000", "13900139000（李四）"],
            &["微信同号13800138000"],
            &[&format!("{}^13800138000", "x".repeat(1024))],
            &["010-62345678", "Hauptstraße 5"],
        ] {
            assert_eq!(separator(cells), None, "{cells:?}");
        }
    }

    #[test]
    fn the_remedy_names_the_character_and_the_flag() {
        for (separator, name, flag) in [
            ('^', "(^)", "--delimiter"),
            ('\t', "a tab", "-d tab"),
            (' ', "a space", "--delimiter"),
            ('\u{1}', "U+0001", "--delimiter"),
        ] {
            let text = Separator::Delimiter(separator).remedy();
            assert!(text.contains(name) && text.ends_with(flag), "{text}");
            assert!(!text.contains(['\'', '"', '$']), "{text}");
        }
        assert!(Separator::RunsOfSpaces.remedy().contains("aligned with spaces"));
    }
}
