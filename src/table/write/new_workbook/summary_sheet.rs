//! The sheet with how many rows have each status, what it means and what to do.

use rust_xlsxwriter::{Format, FormatAlign, Formula, Worksheet, XlsxError};
use tr::tr;

use crate::domain::float::to_f64;
use crate::domain::outcome::Status;
use crate::domain::status_text::{meaning, remedy};
use crate::table::write::new_workbook::status_colors::status_color;
use crate::table::write::new_workbook::status_counts::StatusCounts;

/// The widths of the columns in characters.
const WIDTHS: [u16; 4] = [16, 10, 44, 64];

/// `cells` is the range of the statuses. The counts are formulas on it, because people edit the
/// rows and ask them again.
pub(super) fn write_summary(
    sheet: &mut Worksheet,
    counts: &StatusCounts,
    cells: Option<&str>,
) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    let wrapped = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    let number = Format::new().set_align(FormatAlign::Top);
    sheet.set_name(tr!("Summary"))?;
    for (column, width) in (0_u16..).zip(WIDTHS) {
        sheet.set_column_width(column, width)?;
    }
    let titles = [tr!("Status"), tr!("Rows"), tr!("Meaning"), tr!("What to do")];
    for (column, title) in (0_u16..).zip(titles) {
        sheet.write_string_with_format(0, column, title, &bold)?;
    }
    let mut row = 0;
    for status in Status::ALL {
        row += 1;
        let color = wrapped.clone().set_background_color(status_color(status));
        sheet.write_string_with_format(row, 0, status.name(), &color)?;
        let count = counts.rows_with(status);
        match cells {
            Some(cells) => {
                let formula = format!("=COUNTIF({cells},A{})", row + 1);
                let formula = Formula::new(formula).set_result(count.to_string());
                sheet.write_formula_with_format(row, 1, formula, &number)?;
            }
            None => {
                sheet.write_number_with_format(row, 1, to_f64(count), &number)?;
            }
        }
        sheet.write_string_with_format(row, 2, meaning(status), &wrapped)?;
        sheet.write_string_with_format(row, 3, remedy(status), &wrapped)?;
    }
    let total = Formula::new(format!("=SUM(B2:B{})", row + 1));
    let total = total.set_result(counts.total().to_string());
    sheet.write_string_with_format(row + 1, 0, tr!("All rows"), &bold)?;
    sheet.write_formula_with_format(row + 1, 1, total, &bold)?;
    let note = tr!("All cells of the first sheet are text, so that user ids keep all their \
                    digits. Do not convert them to numbers.");
    sheet.write_string(row + 3, 0, note)?;
    Ok(())
}
