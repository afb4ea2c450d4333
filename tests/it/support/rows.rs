//! Tables of numbers for the input, and the rows of an output.

use std::collections::HashMap;
use std::path::Path;

/// A table of so many numbers, all of which the sandbox finds.
pub(crate) fn staff_csv(count: u32) -> String {
    let rows: Vec<_> = (0..count).map(|n| format!("139{:06}{:02}\n", n / 80, n % 80)).collect();
    "mobile\n".to_owned() + &rows.concat()
}

/// An output, as rows by column name.
pub(crate) fn read_rows(path: &Path) -> Vec<HashMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}
