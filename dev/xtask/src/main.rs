//! `cargo xtask`: the checks of this repository. `ci` runs them all, cheapest first; the others run
//! one of them. Nothing here is published or linked into the program.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for developers prints"
)]

mod ci;
mod circles;
mod edges;
mod modules;
mod programs;
mod reference;
mod tidy;
mod words;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask ci                   every check, cheapest first
cargo xtask tidy                 headers, file map, links, private words, who prints
cargo xtask edges                which crate may use which, and no circles between the files of a crate
cargo xtask reference [--check]  write (or compare) docs/reference/cli.md";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["ci"] => ci::run(),
        ["tidy"] => tidy::run(),
        ["edges"] => edges::run(),
        ["reference"] => reference::write(),
        ["reference", "--check"] => reference::check(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {fault:#}");
            ExitCode::FAILURE
        }
    }
}
