//! Gives libFuzzer's inputs to the property `roundtrip`; what must hold is in
//! `tests/it/support/properties/roundtrip.rs`.

#![no_main]

#[path = "../../it/support/properties/roundtrip.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::roundtrip(data));
