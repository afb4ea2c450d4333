//! Counts and figures as floating point numbers.

/// Exact below 2⁵³, which no count of rows or calls reaches.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of rows and calls are far below 2⁵³")]
pub(crate) fn to_f64(count: u64) -> f64 {
    count as f64
}

#[must_use]
pub(crate) fn round_to_tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
