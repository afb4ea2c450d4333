//! The names of the cells of a sheet, such as `B2`.

/// The name of a cell, such as `B2`.
pub(crate) fn cell_name(row: u32, column: u32) -> String {
    let mut letters = Vec::new();
    let mut left = u64::from(column) + 1;
    while left > 0 {
        left -= 1;
        letters.push(char::from(b'A' + u8::try_from(left % 26).unwrap_or_default()));
        left /= 26;
    }
    format!("{}{}", letters.iter().rev().collect::<String>(), u64::from(row) + 1)
}

/// The position of a cell from a name such as `B2` or `$B$2`, from 0.
pub(crate) fn parse_cell_name(name: &str) -> Option<(u32, u32)> {
    let plain: String = name.chars().filter(|c| *c != '$').collect();
    let digits = plain.find(|c: char| c.is_ascii_digit())?;
    let (letters, row) = plain.split_at(digits);
    let column = letters.bytes().try_fold(0_u32, |column, letter| {
        let value = u32::from(letter.to_ascii_uppercase().checked_sub(b'A')?) + 1;
        (value <= 26).then(|| column.checked_mul(26)?.checked_add(value)).flatten()
    })?;
    Some((row.parse::<u32>().ok()?.checked_sub(1)?, column.checked_sub(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cell_names_and_positions_correspond() {
        for (name, position) in [
            ("A1", (0, 0)),
            ("Z10", (9, 25)),
            ("AA1", (0, 26)),
            ("AZ2", (1, 51)),
            ("XFD1048576", (1_048_575, 16_383)),
        ] {
            assert_eq!(parse_cell_name(name), Some(position), "{name}");
            assert_eq!(cell_name(position.0, position.1), name);
        }
        assert_eq!(parse_cell_name("$B$2"), Some((1, 1)));
        assert_eq!(parse_cell_name("b2"), Some((1, 1)));
        for name in ["", "B", "2", "B0", "é1", "B-2", "ZZZZZZZZZZ1", "B99999999999", "B2C"] {
            assert_eq!(parse_cell_name(name), None, "{name}");
        }
    }
}
