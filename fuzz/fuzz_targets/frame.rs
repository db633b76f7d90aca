//! Explores request frames.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| levada_fuzz_targets::frame(bytes));
