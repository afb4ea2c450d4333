//! Gives libFuzzer's inputs to the property `number`; what must hold is in
//! `tests/it/support/properties/number.rs`.

#![no_main]

#[path = "../../it/support/properties/number.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::number(data));
