//! Any bytes as a Parquet file of PubMedQA.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| verdict_fuzz::read("pubmedqa-artificial", "parquet", bytes));
