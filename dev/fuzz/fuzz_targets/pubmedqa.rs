//! Any bytes as a file of the source `pubmedqa-labeled`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| verdict_fuzz::read("pubmedqa-labeled", "json", bytes));
