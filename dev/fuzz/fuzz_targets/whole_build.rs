//! JSON lines through a whole build: cleaning, ties, splits, and the set read back.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| verdict_fuzz::build(bytes));
