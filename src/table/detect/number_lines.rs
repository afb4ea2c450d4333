//! Looks for lines with numbers in a text of which it is not sure whether it is a table.

use crate::table::detect::dialect::DELIMITERS;
use crate::table::detect::file_type::{FileType, Recognized};

/// The digits of a number in a cell of its own.
const NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 7..=20;

/// The type that a text seems to have, unless half of its lines have a number in a cell of its own.
/// `is_cut` means that more of the text follows, which a file is judged by too.
pub(crate) fn type_or_table(file_type: FileType, text: &str, is_cut: bool) -> Recognized {
    if is_cut {
        return Recognized::NeedsMore;
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let (all, with_number) = lines.fold((0, 0), |(all, with_number), line| {
        (all + 1, with_number + usize::from(cells(line).any(is_number)))
    });
    if with_number > 0 && with_number * 2 >= all {
        Recognized::TypeOrTable(file_type)
    } else {
        Recognized::Type(file_type)
    }
}

/// Whether a line has several cells, one of which is a number.
pub(crate) fn has_number_row(text: &str) -> bool {
    text.lines().any(|line| cells(line).count() > 1 && cells(line).any(is_number))
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split(DELIMITERS)
}

fn is_number(cell: &str) -> bool {
    let cell = cell.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    cell.chars().all(|c| c.is_numeric() || "+-(). ".contains(c))
        && NUMBER_DIGITS.contains(&cell.chars().filter(|c| c.is_numeric()).count())
}
