//! Any bytes as a file of the source `csv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| verdict_fuzz::read("csv", "json", bytes));
