//! Tests of the crate from outside, by its public names.

mod engine;
mod generate;
mod grammar;
mod prompt;
