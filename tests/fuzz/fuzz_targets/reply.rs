//! Gives libFuzzer's inputs to the property `reply`; what must hold is in
//! `tests/it/support/properties/reply.rs`.

#![no_main]

#[path = "../../it/support/properties/reply.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::reply(data));
