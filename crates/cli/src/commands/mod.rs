//! One file per command: its flags, then `run(flags, printer)`.

pub mod build;
pub mod reference;

use crate::args::Command;
use crate::failure::Result;
use crate::printer::Printer;

/// Runs the command that was asked for.
pub fn run(command: Command, printer: &Printer) -> Result {
    match command {
        Command::Build(args) => build::run(args, printer),
        Command::Reference => reference::run(printer),
    }
}
