//! One file per command: its flags, and `run(flags, printer)`.

pub mod ask;
pub mod bench;
pub mod build;
pub mod demo;
pub mod doctor;
pub mod eval;
pub mod index;
pub mod label;
pub mod pull;
pub mod reference;
pub mod search;
pub mod train;
pub mod watch;

use crate::args::Command;
use crate::failure::Result;
use crate::printer::Printer;

/// Runs a command.
pub fn run(command: Command, printer: &Printer) -> Result {
    match command {
        Command::Demo(args) => demo::run(args, printer),
        Command::Doctor(args) => doctor::run(args, printer),
        Command::Pull(args) => pull::run(args, printer),
        Command::Build(args) => build::run(args, printer),
        Command::Train(args) => train::run(*args, printer),
        Command::Watch(args) => watch::run(args, printer),
        Command::Eval(args) => eval::run(args, printer),
        Command::Ask(args) => ask::run(*args, printer),
        Command::Label(args) => label::run(args, printer),
        Command::Index(args) => index::run(args, printer),
        Command::Search(args) => search::run(args, printer),
        Command::Bench(args) => bench::run(args, printer),
        Command::Reference => reference::run(printer),
    }
}
