//! The `verdict` binary: arguments are resolved to settings, each command has a file, and one printer prints.
//!
//! The exit status is 0 for success, 1 for a failure, 2 for wrong usage or input, 130 for an interrupted command.

/// A build allocates millions of small strings on one thread and frees them on another, which mimalloc does faster than
/// the system allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod aliases;
mod args;
mod commands;
mod datasets;
mod device;
mod ensembles;
mod errors;
mod evidence;
mod failure;
mod filters;
mod fleet;
mod folders;
mod foreign;
mod hub;
mod interrupt;
mod loading;
mod log;
mod machine;
mod models;
mod moved;
mod printer;
mod recipes;
mod settings;
mod shards;
mod shell;
mod slurm;
mod table;
mod tables;

use std::process::ExitCode;

use crate::args::Cli;
use crate::printer::Printer;

fn main() -> ExitCode {
    machine::started();
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(usage) => {
            return printer::usage(
                &foreign::hinted(usage),
                log::wants_json(std::env::args_os()),
            );
        }
    };
    let stderr = match log::install(&cli.log, || printer::Stderr) {
        Ok(stderr) => stderr,
        Err(failure) => {
            let format = cli.log.log_format.unwrap_or_default();
            let plain = log::StderrSettings::plain(false);
            Printer::with(false, log::StderrSettings { format, ..plain }).failure(&failure);
            return ExitCode::from(failure.status as u8);
        }
    };
    let printer = Printer::with(cli.json, stderr);
    interrupt::install(stderr.format);
    match commands::run(cli.command, &printer) {
        Ok(()) => printer.finish(),
        Err(failure) => {
            printer.failure(&failure);
            ExitCode::from(failure.status as u8)
        }
    }
}
