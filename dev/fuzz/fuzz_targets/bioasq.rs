//! Any bytes as a file of the source `bioasq`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| verdict_fuzz::read("bioasq", "json", bytes));
