//! Reads the cells of a row that show to a person who it is about.

use crate::domain::redact::sanitize;
use crate::table::raw::encoding::Encoding;
use crate::table::raw::row_parser::RowParser;

/// Longer cells are cut.
const MAX_CHARS: usize = 40;
/// So many digits may be a phone number.
const MIN_NUMBER_DIGITS: usize = 7;
const VISIBLE_HEAD: usize = 3;
const VISIBLE_TAIL: usize = 2;

/// Which cells of a table show who a row is about.
#[derive(Clone, Debug)]
pub(crate) struct PersonCells {
    /// From 0.
    columns: Vec<usize>,
    delimiter: char,
    encoding: Encoding,
}

/// A table without such cells.
impl Default for PersonCells {
    fn default() -> Self {
        Self::new(Vec::new(), ',', Encoding::Utf8)
    }
}

impl PersonCells {
    #[must_use]
    pub(crate) fn new(columns: Vec<usize>, delimiter: char, encoding: Encoding) -> Self {
        Self { columns, delimiter, encoding }
    }

    /// The cells in `content`, the bytes of a row without its terminator: one per column, with
    /// numbers masked.
    #[must_use]
    pub(crate) fn read(&self, content: &[u8]) -> Vec<String> {
        let text = self.encoding.decode(content);
        let mut parser = RowParser::new(self.delimiter);
        parser.advance(text.as_bytes(), true);
        let cell = |column: &usize| {
            let cell = parser.cell(*column).map(String::from_utf8_lossy).unwrap_or_default();
            mask_long_digits(&sanitize(cell.trim())).chars().take(MAX_CHARS).collect()
        };
        self.columns.iter().map(cell).collect()
    }
}

/// Masks digits in the middle of long numbers, which may be phone numbers of any country: the first
/// three and the last two remain, so that staff numbers are still told apart.
fn mask_long_digits(text: &str) -> String {
    let is_digit = |c: &char| c.is_ascii_digit();
    let letters: Vec<char> = text.chars().collect();
    let runs = letters.chunk_by(|one, other| is_digit(one) == is_digit(other));
    let mask = |run: &[char]| -> String {
        let is_long = run.len() >= MIN_NUMBER_DIGITS && run.iter().all(is_digit);
        let masked = if is_long { VISIBLE_HEAD..run.len() - VISIBLE_TAIL } else { 0..0 };
        let show = |(at, c): (usize, &char)| if masked.contains(&at) { '*' } else { *c };
        run.iter().enumerate().map(show).collect()
    };
    runs.map(mask).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_unquoted_decoded_and_masked() {
        let cells = PersonCells::new(vec![2, 0, 5], ';', Encoding::Gb18030);
        let mut content = Vec::new();
        Encoding::Gb18030.encode("\" 王\"\"芳;\";x;甲 13800138000", &mut content);
        assert_eq!(cells.read(&content), ["甲 138****00", "王\"芳;", ""]);
        let ids = PersonCells::new(vec![0, 1, 2], ',', Encoding::Utf8);
        assert_eq!(ids.read(b"20230017,000123,HK 51234567"), ["202***17", "000123", "HK 512***67"]);
        assert_eq!(PersonCells::default().read(b"a,b"), Vec::<String>::new());
        let long = PersonCells::new(vec![0], ',', Encoding::Utf8).read(&[b'x'; 100]);
        assert_eq!(long[0].len(), MAX_CHARS);
    }
}
