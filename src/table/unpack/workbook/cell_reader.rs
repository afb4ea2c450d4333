//! Reads the cells of a sheet one after the other, as text.

use std::io::Read;
use std::sync::Arc;

use quick_xml::events::{BytesStart, Event};
use tr::tr;

use crate::table::unpack::workbook::cell_text;
use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::number_format::{Displayed, NumberFormat};
use crate::table::unpack::workbook::part_reader::{PartReader, decode_escapes};
use crate::table::unpack::workbook::shared_strings::SharedStrings;

/// What cells refer to.
pub(crate) struct CellContext {
    pub strings: SharedStrings,
    /// The number formats by the number of the cell format.
    pub formats: Vec<NumberFormat>,
    /// Whether dates count from 1904.
    pub is_1904: bool,
}

/// A cell that is not empty.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// Its position, from 0.
    pub row: u32,
    pub column: u32,
    pub text: String,
    /// Whether this is a formula of which the file does not keep the value. Its text is empty.
    pub is_missing_value: bool,
}

/// The type of a cell's value, as its attribute `t` names it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CellType {
    /// Without the attribute: a number, or what is not a number.
    Default,
    Number,
    Boolean,
    Error,
    Date,
    SharedString,
    FormulaString,
    InlineString,
    Unknown,
}

impl CellType {
    fn parse(text: &str) -> Self {
        match text {
            "n" => Self::Number,
            "b" => Self::Boolean,
            "e" => Self::Error,
            "d" => Self::Date,
            "s" => Self::SharedString,
            "str" => Self::FormulaString,
            "inlineStr" | "is" => Self::InlineString,
            _ => Self::Unknown,
        }
    }
}

/// The attributes of a cell.
struct CellStart {
    /// The row and the column, if they are stated.
    position: Option<(u32, u32)>,
    format: Option<usize>,
    cell_type: CellType,
}

/// The cells of a sheet.
pub(crate) struct CellReader<R: Read> {
    xml: PartReader<R>,
    sheet: String,
    context: Arc<CellContext>,
    row: u32,
    column: u32,
    /// The value of the current cell.
    value: String,
}

impl<R: Read> CellReader<R> {
    pub(crate) fn new(
        part: R,
        sheet: String,
        context: Arc<CellContext>,
    ) -> Result<Self, WorkbookError> {
        let mut xml = PartReader::new(part);
        loop {
            if let Event::Start(start) = xml.next_event()?
                && start.local_name().as_ref() == "sheetData"
            {
                break;
            }
        }
        Ok(Self { xml, sheet, context, row: 0, column: 0, value: String::new() })
    }

    pub(crate) fn sheet(&self) -> &str {
        &self.sheet
    }

    /// The next cell with a text, or with a formula without a value.
    pub(crate) fn next_cell(&mut self) -> Result<Option<Cell>, WorkbookError> {
        loop {
            let start = match self.xml.next_event()? {
                Event::Start(start) => match start.local_name().as_ref() {
                    "row" => {
                        if let Some(row) = row_number(&start) {
                            self.row = row;
                        }
                        continue;
                    }
                    "c" => cell_start(&start),
                    _ => continue,
                },
                Event::End(end) => match end.local_name().as_ref() {
                    "row" => {
                        (self.row, self.column) = (self.row.saturating_add(1), 0);
                        continue;
                    }
                    "sheetData" => return Ok(None),
                    _ => continue,
                },
                _ => continue,
            };
            let start = start.map_err(|what| self.invalid_cell(what))?;
            (self.row, self.column) = start.position.unwrap_or((self.row, self.column));
            let cell = self.read_cell(&start)?;
            self.column = self.column.saturating_add(1);
            if cell.is_some() {
                return Ok(cell);
            }
        }
    }

    /// Reads the content of a cell. `None` if it is empty.
    fn read_cell(&mut self, start: &CellStart) -> Result<Option<Cell>, WorkbookError> {
        self.value.clear();
        let (mut has_value, mut has_formula) = (false, false);
        loop {
            let name = match self.xml.next_event()? {
                Event::Start(child) => child.local_name().as_ref().to_owned(),
                Event::End(end) if end.local_name().as_ref() == "c" => break,
                _ => continue,
            };
            match name.as_str() {
                // The string of an inline string is in `is`.
                "v" if start.cell_type != CellType::InlineString => {
                    has_value = true;
                    self.xml.read_text("v", &mut self.value)?;
                }
                "is" => {
                    has_value = true;
                    self.xml.read_string("is", &mut self.value)?;
                }
                name => {
                    has_formula |= name == "f";
                    self.xml.skip(name)?;
                }
            }
        }
        // An empty string is the value of `=""`.
        let is_missing_value = has_formula
            && self.value.is_empty()
            && !(has_value && start.cell_type == CellType::FormulaString);
        let text = self.text(start).map_err(|what| self.invalid_cell(what))?;
        Ok((is_missing_value || !text.is_empty()).then_some(Cell {
            row: self.row,
            column: self.column,
            text,
            is_missing_value,
        }))
    }

    /// The text of the current value, or what is wrong with it.
    fn text(&self, start: &CellStart) -> Result<String, String> {
        let value = self.value.as_str();
        let plain = value.trim();
        if plain.is_empty()
            && !matches!(start.cell_type, CellType::FormulaString | CellType::InlineString)
        {
            return Ok(String::new());
        }
        let general = NumberFormat::default();
        let format = start.format.and_then(|index| self.context.formats.get(index));
        let format = format.unwrap_or(&general);
        let shown = |text: &str| match format.display_text(text) {
            Displayed::Plain => text.to_owned(),
            Displayed::As(shown) | Displayed::Unclear(shown) => shown,
        };
        let number = || plain.parse().ok().filter(|number: &f64| number.is_finite());
        Ok(match start.cell_type {
            CellType::SharedString => {
                let index = plain.parse().ok();
                let string = index.and_then(|index| self.context.strings.get(index));
                shown(string.ok_or_else(|| tr!("the workbook has no text with its number"))?)
            }
            CellType::FormulaString => shown(&decode_escapes(value)),
            CellType::InlineString => shown(value),
            CellType::Date | CellType::Error => plain.to_owned(),
            CellType::Boolean => match plain.to_ascii_lowercase().as_str() {
                "1" | "true" => "TRUE".to_owned(),
                "0" | "false" => "FALSE".to_owned(),
                _ => return Err(tr!("its truth value is neither 0 nor 1")),
            },
            CellType::Default => match number() {
                Some(number) => cell_text::format_number(number, format, self.context.is_1904),
                None => value.to_owned(),
            },
            CellType::Number => {
                let number = number().ok_or_else(|| tr!("its number cannot be read"))?;
                cell_text::format_number(number, format, self.context.is_1904)
            }
            CellType::Unknown => return Err(tr!("the type of its value is unknown")),
        })
    }

    fn invalid_cell(&self, what: String) -> WorkbookError {
        WorkbookError::InvalidCell {
            sheet: self.sheet.clone(),
            cell: cell_name(self.row, self.column),
            what,
        }
    }
}

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
fn parse_cell_name(name: &str) -> Option<(u32, u32)> {
    let plain: String = name.chars().filter(|c| *c != '$').collect();
    let digits = plain.find(|c: char| c.is_ascii_digit())?;
    let (letters, row) = plain.split_at(digits);
    let column = letters.bytes().try_fold(0_u32, |column, letter| {
        let value = u32::from(letter.to_ascii_uppercase().checked_sub(b'A')?) + 1;
        (value <= 26).then(|| column.checked_mul(26)?.checked_add(value)).flatten()
    })?;
    Some((row.parse::<u32>().ok()?.checked_sub(1)?, column.checked_sub(1)?))
}

/// The number of a row that states it, from 0.
fn row_number(row: &BytesStart<'_>) -> Option<u32> {
    let number = row.try_get_attribute("r").ok()??;
    number.value.trim().parse::<u32>().ok()?.checked_sub(1)
}

/// The attributes of a cell, or what is wrong with them.
fn cell_start(cell: &BytesStart<'_>) -> Result<CellStart, String> {
    let mut start = CellStart { position: None, format: None, cell_type: CellType::Default };
    for attribute in cell.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| error.to_string())?;
        match attribute.key.as_ref() {
            "r" => {
                let position = parse_cell_name(&attribute.value);
                start.position =
                    Some(position.ok_or_else(|| tr!("the name of the cell after it is invalid"))?);
            }
            "s" => start.format = attribute.value.parse().ok(),
            "t" => start.cell_type = CellType::parse(&attribute.value),
            _ => {}
        }
    }
    Ok(start)
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
