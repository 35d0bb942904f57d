//! `verdict bench`: how fast this machine trains and answers, by itself and side by side with others.

mod decode;
mod shapes;
mod tokens;
mod train;

use std::path::Path;

use serde::Serialize;
use verdict_common::counted;
use verdict_model::{BaseQuantization, ComputeDtype, Model};

use self::shapes::Shape;
use crate::device::Place;
use crate::failure::Result;
use crate::loading::{self, MachineFlags, Source};
use crate::machine::{self, Cpu};
use crate::models;
use crate::printer::Printer;
use crate::table::Table;

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

/// How many tokens of training go through this machine a second, from a few small steps of these ranks.
///
/// # Errors
/// What loading the model says.
pub fn tokens_per_s(
    model: &Path,
    ranks: &[usize],
    machine: &MachineFlags,
    printer: &Printer,
) -> Result<f64> {
    let subject = Subject {
        model: Some(model.display().to_string()),
        ..Subject::default()
    };
    train::Args::quick(subject, ranks, machine.clone()).tokens_per_s(printer)
}

/// What is measured: flags of every measurement.
#[derive(Clone, Debug, Default, clap::Args)]
struct Subject {
    /// Model: folder, GGUF file, hub name or built-in name [default: smollm2-135m]
    #[arg(long, conflicts_with = "shape")]
    model: Option<String>,
    /// Shape of a model in place of a model; with --random-weights
    #[arg(long, value_enum, requires = "random_weights")]
    shape: Option<Shape>,
    /// Weights out of a random number generator: no file is read. Speed does not depend on what the
    /// weights are
    #[arg(long, requires = "shape")]
    random_weights: bool,
}

impl Subject {
    /// The model, its weights not loaded yet.
    fn source(&self, printer: &Printer) -> Result<Source> {
        match self.shape {
            Some(shape) => Ok(loading::random(shape.name(), shape.config(), 42)),
            None => loading::find(self.model.as_deref().unwrap_or(models::DEFAULT), printer),
        }
    }
}

/// Where a measurement ran and on what.
#[derive(Debug, Serialize)]
struct Setting {
    model: String,
    /// One for each device.
    devices: Vec<String>,
    /// CUDA version of the GPUs' driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<String>,
    /// The set of kernels that ran, on the processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    kernels: Option<&'static str>,
    base: BaseQuantization,
    compute: ComputeDtype,
    threads: usize,
}

impl Setting {
    fn of(name: &str, model: &Model, places: &[Place]) -> Self {
        let cpu = || Cpu::detect().name;
        let device = |place: &Place| place.name.clone().unwrap_or_else(cpu);
        let on_cpu = places.iter().all(|place| place.name.is_none());
        Self {
            model: name.to_owned(),
            devices: places.iter().map(device).collect(),
            driver: places.iter().find_map(|place| place.driver.clone()),
            kernels: on_cpu.then(|| model.isa().name()),
            base: model.base(),
            compute: model.compute(),
            threads: model.threads(),
        }
    }

    /// The first lines of every table.
    fn rows(&self, table: &mut Table) {
        let kernels = self.kernels.map_or(String::new(), |name| {
            format!(" · {name} · {}", counted(self.threads, "thread"))
        });
        let driver = self.driver.as_ref();
        let driver = driver.map_or(String::new(), |version| format!(" · CUDA {version}"));
        row(table, "model", self.model.clone());
        row(
            table,
            "device",
            format!(
                "{}{kernels}{driver} · base {} · compute {}",
                self.devices.join(" + "),
                self.base,
                self.compute
            ),
        );
    }
}

fn row(table: &mut Table, what: &str, figure: String) {
    table.row(vec![what.to_owned(), figure]);
}

/// The most memory held: of the device that held most on GPUs, of the process on the processor.
fn peak_memory_mib(models: &[Model]) -> Option<u64> {
    let on_gpus = models.iter().filter_map(Model::peak_device_bytes).max();
    on_gpus.or_else(machine::peak_memory_bytes).map(|b| b >> 20)
}

/// Several measurements of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    /// Of at least one.
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Self {
            min: figures[0],
            median: (low + high) / 2.0,
            max: figures[figures.len() - 1],
        }
    }

    fn scaled(self, factor: f64) -> Self {
        Self {
            min: self.min * factor,
            median: self.median * factor,
            max: self.max * factor,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        subject: Subject,
    }

    fn read(flags: &str) -> std::result::Result<Subject, clap::error::ErrorKind> {
        let words = std::iter::once("bench").chain(flags.split_whitespace());
        Line::try_parse_from(words)
            .map(|line| line.subject)
            .map_err(|fault| fault.kind())
    }

    #[test]
    fn a_shape_goes_with_random_weights_and_without_a_model() {
        use clap::error::ErrorKind;
        let subject = read("--shape qwen3-1.7b --random-weights").expect("good");
        let source = subject.source(&Printer::new(false, true)).expect("no file");
        assert_eq!(source.name(), "qwen3-1.7b, random weights");
        assert_eq!(source.config().hidden_size, 2048);
        let missing = ErrorKind::MissingRequiredArgument;
        assert_eq!(read("--shape qwen3-1.7b").expect_err("of what"), missing);
        assert_eq!(read("--random-weights").expect_err("of what"), missing);
        assert_eq!(
            read("--shape qwen3-4b --random-weights --model m").expect_err("which"),
            ErrorKind::ArgumentConflict
        );
    }

    #[test]
    fn a_spread_is_least_middle_and_most() {
        let spread = |figures: &[f64]| Spread::of(figures.to_vec());
        let expected = Spread {
            min: 1.0,
            median: 2.0,
            max: 9.0,
        };
        assert_eq!(spread(&[9.0, 1.0, 2.0]), expected);
        assert_eq!(spread(&[9.0, 1.0, 1.0, 3.0]), expected);
        assert_eq!(spread(&[0.5]).scaled(2.0), spread(&[1.0]));
    }
}
