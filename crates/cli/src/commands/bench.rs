//! `verdict bench`: measures how fast this machine trains and answers.

mod common;
mod decode;
mod shapes;
mod tokens;
mod train;

use std::path::Path;

use self::common::MeasuredModel;
use crate::failure::Result;
use crate::loading::MachineFlags;
use crate::printer::Printer;

/// Measure how fast this machine trains and answers
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What is measured.
#[derive(Debug, clap::Subcommand)]
enum What {
    Train(train::Args),
    Decode(decode::Args),
}

/// Runs the measurement.
pub fn run(args: Args, printer: &Printer) -> Result {
    match args.what {
        What::Train(args) => train::run(&args, printer),
        What::Decode(args) => decode::run(&args, printer),
    }
}

/// Training speed in tokens per second, from a few small steps with these ranks.
///
/// # Errors
/// The model cannot be loaded.
pub fn tokens_per_s(
    model: &Path,
    ranks: &[usize],
    machine: &MachineFlags,
    printer: &Printer,
) -> Result<f64> {
    let measured = MeasuredModel {
        model: Some(model.display().to_string()),
        ..MeasuredModel::default()
    };
    train::Args::quick(measured, ranks, machine.clone()).tokens_per_s(printer)
}
