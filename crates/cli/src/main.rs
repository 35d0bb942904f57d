//! The `verdict` binary: arguments to settings, one file per command, one printer.
//!
//! Exit status: 0 done, 1 failed, 2 wrong usage or input, 130 interrupted.

/// Rows are millions of small texts, made on one thread and let go on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod args;
mod commands;
mod datasets;
mod device;
mod errors;
mod failure;
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
mod settings;
mod shards;
mod shell;
mod slurm;
mod table;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;
use crate::printer::Printer;

fn main() -> ExitCode {
    machine::started();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            return printer::usage(
                &foreign::hinted(usage),
                log::wants_json(std::env::args_os()),
            );
        }
    };
    let telling = match log::install(&cli.log) {
        Ok(telling) => telling,
        Err(failure) => {
            let format = cli.log.log_format.unwrap_or_default();
            let plain = log::Telling::plain(false);
            Printer::telling(false, log::Telling { format, ..plain }).failure(&failure);
            return ExitCode::from(failure.status as u8);
        }
    };
    let printer = Printer::telling(cli.json, telling);
    interrupt::install(telling.format);
    match commands::run(cli.command, &printer) {
        Ok(()) => printer.finish(),
        Err(failure) => {
            printer.failure(&failure);
            ExitCode::from(failure.status as u8)
        }
    }
}
