//! Any bytes as a file of the source `jsonl`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| verdict_fuzz::read("jsonl", "json", bytes));
