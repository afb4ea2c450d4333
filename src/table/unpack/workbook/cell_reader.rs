//! Reads the cells of a sheet one after the other, as text.

use std::io::Read;
use std::sync::Arc;

use quick_xml::events::{BytesStart, Event};
use tr::tr;

use crate::table::raw::cell_name::{cell_name, parse_cell_name};
use crate::table::raw::row_parser::MAX_COLUMNS;
use crate::table::unpack::workbook::cell_text;
use crate::table::unpack::workbook::conditional_formats::ConditionalFormats;
use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::limits::{MAX_ROWS, MAX_TEXT_BYTES};
use crate::table::unpack::workbook::number_format::{Displayed, NumberFormat, display_any};
use crate::table::unpack::workbook::part_reader::{PartReader, decode_escapes};
use crate::table::unpack::workbook::shared_strings::SharedStrings;
use crate::table::unpack::workbook::styles::Styles;

/// What cells refer to.
pub(crate) struct CellContext {
    pub strings: SharedStrings,
    pub styles: Styles,
    /// Whether dates count from 1904.
    pub is_1904: bool,
    /// Whether Excel calculates all formulas when it opens the workbook.
    pub calculates_on_load: bool,
}

/// A cell that is not empty.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// Its position, from 0.
    pub row: u32,
    pub column: u32,
    pub text: String,
    /// What the file keeps of the value, if this is a formula.
    pub formula: Option<FormulaValue>,
}

/// What a file keeps of the value of a formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormulaValue {
    /// Nothing. The text of the cell is empty.
    Missing,
    /// Zero, which some programs write in place of a value that they did not calculate.
    MaybeMissing,
    Stored,
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
    /// The number of its format.
    format: usize,
    cell_type: CellType,
}

/// The cells of a sheet.
pub(crate) struct CellReader<R: Read> {
    xml: PartReader<R>,
    sheet: String,
    context: Arc<CellContext>,
    conditional_formats: ConditionalFormats,
    row: u32,
    column: u32,
    /// The position of the last cell that was returned.
    last: Option<(u32, u32)>,
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
        Ok(Self {
            xml,
            sheet,
            context,
            conditional_formats: ConditionalFormats::default(),
            row: 0,
            column: 0,
            last: None,
            value: String::new(),
        })
    }

    /// Applies the conditional formats, which a sheet has after its cells.
    pub(crate) fn with_conditional_formats(self, conditional_formats: ConditionalFormats) -> Self {
        Self { conditional_formats, ..self }
    }

    /// Reads the conditional formats, after the last cell.
    pub(crate) fn read_conditional_formats(&mut self) -> Result<ConditionalFormats, WorkbookError> {
        ConditionalFormats::read(&mut self.xml, &self.context.styles.conditional)
            .map_err(|error| error.in_part(&self.sheet))
    }

    pub(crate) fn sheet(&self) -> &str {
        &self.sheet
    }

    /// The next cell with a text, or with a formula without a value.
    pub(crate) fn next_cell(&mut self) -> Result<Option<Cell>, WorkbookError> {
        self.read_next_cell().map_err(|error| error.in_part(&self.sheet))
    }

    fn read_next_cell(&mut self) -> Result<Option<Cell>, WorkbookError> {
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
            let start = start.map_err(|what| self.invalid_next_cell(what))?;
            (self.row, self.column) = start.position.unwrap_or((self.row, self.column));
            let cell = self.read_cell(&start).map_err(|error| match error {
                WorkbookError::TextTooLong => {
                    let most = MAX_TEXT_BYTES >> 20;
                    self.invalid_cell(tr!("its text is longer than {most} MiB", most))
                }
                error => error,
            })?;
            if cell.is_some() {
                self.check_position()?;
            }
            self.column = self.column.saturating_add(1);
            if cell.is_some() {
                return Ok(cell);
            }
        }
    }

    /// Checks that the current cell is inside the limits of Excel and after the one before it, so
    /// that no gap between two cells makes a large table.
    fn check_position(&mut self) -> Result<(), WorkbookError> {
        let position = (self.row, self.column);
        if self.row >= MAX_ROWS || self.column as usize >= MAX_COLUMNS {
            return Err(self.invalid_cell(tr!("it is outside the limits of a sheet")));
        }
        if self.last.is_some_and(|last| position <= last) {
            return Err(self.invalid_cell(tr!("the cells of the sheet are not in order")));
        }
        self.last = Some(position);
        Ok(())
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
                    self.xml.read_text("v", &mut self.value, MAX_TEXT_BYTES)?;
                }
                "is" => {
                    has_value = true;
                    self.xml.read_string("is", &mut self.value, MAX_TEXT_BYTES)?;
                }
                name => {
                    has_formula |= name == "f";
                    self.xml.skip(name)?;
                }
            }
        }
        let formula = has_formula.then(|| self.formula_value(start.cell_type, has_value));
        let text = self.text(start).map_err(|what| self.invalid_cell(what))?;
        let is_empty = text.is_empty() && formula != Some(FormulaValue::Missing);
        Ok((!is_empty).then_some(Cell { row: self.row, column: self.column, text, formula }))
    }

    /// What the current value says about the formula of its cell.
    fn formula_value(&self, cell_type: CellType, has_value: bool) -> FormulaValue {
        let is_number = matches!(cell_type, CellType::Default | CellType::Number);
        // An empty string is the value of `=""`.
        if self.value.is_empty() && !(has_value && cell_type == CellType::FormulaString) {
            FormulaValue::Missing
        } else if self.context.calculates_on_load && is_number && self.value.trim() == "0" {
            FormulaValue::MaybeMissing
        } else {
            FormulaValue::Stored
        }
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
        let format = self.context.styles.formats.get(start.format);
        let format = format.map_or(&general, Arc::as_ref);
        let others = || self.conditional_formats.at(self.row, self.column);
        let shown = |text: &str| match display_any(format, others(), |it| it.display_text(text)) {
            Ok(Displayed::Plain) => text.to_owned(),
            Ok(Displayed::Text(shown) | Displayed::ChangedDigits(shown)) => shown,
            Err(other) => other.unclear(text),
        };
        let shown_number =
            |number: f64| match display_any(format, others(), |it| it.display_number(number)) {
                Ok(_) => cell_text::format_number(number, format, self.context.is_1904),
                Err(other) => other.unclear(&number.to_string()),
            };
        let number = || plain.parse().ok().filter(|number: &f64| number.is_finite());
        Ok(match start.cell_type {
            CellType::SharedString => {
                let index: usize =
                    plain.parse().map_err(|_| tr!("its number of a shared string is invalid"))?;
                let string = self.context.strings.get(index);
                let string =
                    string.ok_or_else(|| tr!("the shared string {index} does not exist", index))?;
                shown(&string)
            }
            CellType::FormulaString => shown(&decode_escapes(value)),
            CellType::InlineString => shown(value),
            CellType::Date | CellType::Error => plain.to_owned(),
            CellType::Boolean => match plain.to_ascii_lowercase().as_str() {
                "1" | "true" => "TRUE".to_owned(),
                "0" | "false" => "FALSE".to_owned(),
                _ => return Err(tr!("its Boolean value is neither 0 nor 1")),
            },
            CellType::Default => match number() {
                Some(number) => shown_number(number),
                None => value.to_owned(),
            },
            CellType::Number => {
                shown_number(number().ok_or_else(|| tr!("its number cannot be read"))?)
            }
            CellType::Unknown => return Err(tr!("the type of its value is unknown")),
        })
    }

    /// An error in a cell whose name is not known.
    fn invalid_next_cell(&self, what: String) -> WorkbookError {
        match self.last {
            None => self.invalid_cell(what),
            Some((row, column)) => WorkbookError::InvalidCell {
                sheet: self.sheet.clone(),
                cell: tr!("after {cell}", cell = cell_name(row, column)),
                what,
            },
        }
    }

    fn invalid_cell(&self, what: String) -> WorkbookError {
        WorkbookError::InvalidCell {
            sheet: self.sheet.clone(),
            cell: cell_name(self.row, self.column),
            what,
        }
    }
}

/// The number of a row that states it, from 0.
fn row_number(row: &BytesStart<'_>) -> Option<u32> {
    let number = row.try_get_attribute("r").ok()??;
    number.value.trim().parse::<u32>().ok()?.checked_sub(1)
}

/// The attributes of a cell, or what is wrong with them.
fn cell_start(cell: &BytesStart<'_>) -> Result<CellStart, String> {
    let mut start = CellStart { position: None, format: 0, cell_type: CellType::Default };
    for attribute in cell.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| error.to_string())?;
        match attribute.key.as_ref() {
            "r" => {
                let position = parse_cell_name(&attribute.value);
                start.position = Some(position.ok_or_else(|| tr!("its name is invalid"))?);
            }
            // The format of a cell without the attribute, or with an invalid one, is the first.
            "s" => start.format = attribute.value.parse().unwrap_or_default(),
            "t" => start.cell_type = CellType::parse(&attribute.value),
            _ => {}
        }
    }
    Ok(start)
}
