//! Owns how a new cell is written so that it reads as what it says. Whose it is and where it stands is for others.

/// Adds a cell, in quotes where it would be read as something else without them. Where it is to be `excel_safe`, one that a
/// spreadsheet would take for a formula gets an apostrophe in front.
pub(crate) fn push_cell(to: &mut String, cell: &str, delimiter: char, excel_safe: bool) {
    let formula = excel_safe && cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let sign = if formula { "'" } else { "" };
    let special = |letter| letter == delimiter || matches!(letter, '"' | '\r' | '\n');
    if !cell.starts_with(' ') && !cell.ends_with(' ') && !cell.contains(special) {
        to.push_str(sign);
        to.push_str(cell);
        return;
    }
    to.push('"');
    to.push_str(sign);
    for letter in cell.chars() {
        if letter == '"' {
            to.push(letter);
        }
        to.push(letter);
    }
    to.push('"');
}
