//! The few things that several crates need in exactly the same form: numbers in words, SHA-256 in hexadecimal,
//! SplitMix64, settings files with line numbers. Nothing here knows of models, data sets or runs.

pub mod hash;
pub mod random;
pub mod settings_file;
pub mod words;

pub use words::{bytes, counted, duration, grouped, percent, share, significant};
