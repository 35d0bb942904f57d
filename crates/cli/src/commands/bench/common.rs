//! What every measurement has: its model, where it ran, the spread of its figures.

use serde::Serialize;
use verdict_common::counted;
use verdict_model::{BaseQuantization, ComputeDtype, Model};

use super::shapes::Shape;
use crate::device::SelectedDevice;
use crate::failure::Result;
use crate::loading::{self, Source};
use crate::machine::{self, Cpu};
use crate::models;
use crate::printer::Printer;
use crate::table::Table;

/// The model to measure: flags of every measurement.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct MeasuredModel {
    /// Measure this model [default: smollm2-135m]
    ///
    /// A folder, GGUF file, hub name or built-in name.
    #[arg(long, conflicts_with = "shape")]
    pub model: Option<String>,
    /// Measure a model of this shape, with --random-weights
    #[arg(
        long,
        value_enum,
        requires = "random_weights",
        hide_possible_values = true
    )]
    pub shape: Option<Shape>,
    /// Generate the weights at random instead of reading a file
    ///
    /// Speed does not depend on the values of the weights.
    #[arg(long, requires = "shape")]
    pub random_weights: bool,
}

impl MeasuredModel {
    /// The model, without its weights.
    pub fn source(&self, printer: &Printer) -> Result<Source> {
        match self.shape {
            Some(shape) => Ok(loading::random(shape.name(), shape.config(), 42)),
            None => loading::find(self.model.as_deref().unwrap_or(models::DEFAULT), printer),
        }
    }
}

/// Where a measurement ran, and with which model.
#[derive(Debug, Serialize)]
pub struct Environment {
    model: String,
    /// One per device.
    devices: Vec<String>,
    /// CUDA version of the GPU driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<String>,
    /// The set of kernels, on the processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    kernels: Option<&'static str>,
    base: BaseQuantization,
    compute: ComputeDtype,
    threads: usize,
}

impl Environment {
    pub fn of(name: &str, model: &Model, devices: &[SelectedDevice]) -> Self {
        let cpu = || Cpu::detect().name;
        let device = |device: &SelectedDevice| device.name.clone().unwrap_or_else(cpu);
        let on_cpu = devices.iter().all(|device| device.name.is_none());
        Self {
            model: name.to_owned(),
            devices: devices.iter().map(device).collect(),
            driver: devices.iter().find_map(|device| device.driver.clone()),
            kernels: on_cpu.then(|| model.isa().name()),
            base: model.base(),
            compute: model.compute(),
            threads: model.threads(),
        }
    }

    /// The first lines of every table.
    pub fn rows(&self, table: &mut Table) {
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

pub fn row(table: &mut Table, what: &str, figure: String) {
    table.row(vec![what.to_owned(), figure]);
}

/// Peak memory: of the GPU that used most, or of the process on the processor.
pub fn peak_memory_mib(models: &[Model]) -> Option<u64> {
    let on_gpus = models.iter().filter_map(Model::peak_device_bytes).max();
    on_gpus.or_else(machine::peak_memory_bytes).map(|b| b >> 20)
}

/// The spread of several measurements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Spread {
    /// The spread of at least one measurement.
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Self {
            min: figures[0],
            median: (low + high) / 2.0,
            max: figures[figures.len() - 1],
        }
    }

    pub fn scaled(self, factor: f64) -> Self {
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
        model: MeasuredModel,
    }

    fn read(flags: &str) -> std::result::Result<MeasuredModel, clap::error::ErrorKind> {
        let words = std::iter::once("bench").chain(flags.split_whitespace());
        Line::try_parse_from(words)
            .map(|line| line.model)
            .map_err(|fault| fault.kind())
    }

    #[test]
    fn a_shape_goes_with_random_weights_and_without_a_model() {
        use clap::error::ErrorKind;
        let model = read("--shape qwen3-1.7b --random-weights").expect("good");
        let source = model.source(&Printer::new(false, true)).expect("no file");
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
