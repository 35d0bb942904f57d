//! A run's numbers for other programs: TensorBoard's files and CSV, of finished runs and of such that go on.
//!
//! All that is there at the first look is written beside its place and renamed; what comes later is appended, as in
//! `events.jsonl`. Where a run begins anew, its files do too.

mod append;
pub(crate) use self::append::replace;
pub mod csv;
pub mod record;
pub mod tensorboard;

use std::path::Path;

use verdict_train::{Event, EventKind};

use self::csv::Csv;
use self::tensorboard::TensorBoard;
use crate::error::Result;
use crate::follow::NewEvent;

/// The numbers of an event, each by its name; none where it has none.
pub fn scalars(event: &Event) -> Vec<(&'static str, f64)> {
    match &event.kind {
        EventKind::Train {
            loss,
            lr,
            grad_norm,
        } => vec![
            ("train/loss", *loss),
            ("train/lr", *lr),
            ("train/grad_norm", *grad_norm),
        ],
        EventKind::Validation { loss, accuracy, n } => vec![
            ("validation/loss", *loss),
            ("validation/accuracy", *accuracy),
            ("validation/n", *n as f64),
        ],
        EventKind::Throughput {
            examples_per_s,
            tokens_per_s,
        } => vec![
            ("throughput/examples_per_s", *examples_per_s),
            ("throughput/tokens_per_s", *tokens_per_s),
        ],
        _ => Vec::new(),
    }
}

/// What is written besides.
#[derive(Debug, Default)]
pub struct Exports {
    csv: Option<Csv>,
    tensorboard: Vec<TensorBoard>,
}

impl Exports {
    /// The CSV file, and the folder for TensorBoard, with the runs' names.
    pub fn new(csv: Option<&Path>, tensorboard: Option<&Path>, runs: &[String]) -> Exports {
        let folder = |name: &String| match runs {
            [_] => tensorboard.map(Path::to_path_buf),
            _ => tensorboard.map(|root| root.join(tensorboard::file_name(name))),
        };
        let folders = runs.iter().filter_map(folder);
        Exports {
            csv: csv.map(Csv::new),
            tensorboard: folders.map(TensorBoard::new).collect(),
        }
    }

    /// Whether anything is written.
    pub fn any(&self) -> bool {
        self.csv.is_some() || !self.tensorboard.is_empty()
    }

    /// What was told of a run, by its number and name.
    pub fn take(&mut self, number: usize, name: &str, told: &NewEvent) {
        let NewEvent::Event(event) = told else {
            return;
        };
        if let Some(csv) = &mut self.csv {
            csv.event(name, event);
        }
        if let Some(tensorboard) = self.tensorboard.get_mut(number) {
            tensorboard.event(event);
        }
    }

    /// Forgets what was written: all of it comes again.
    pub fn begin_again(&mut self) {
        if let Some(csv) = &mut self.csv {
            csv.begin_again();
        }
        for tensorboard in &mut self.tensorboard {
            tensorboard.begin_again();
        }
    }

    /// Writes what came.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn flush(&mut self) -> Result<()> {
        if let Some(csv) = &mut self.csv {
            csv.flush()?;
        }
        for tensorboard in &mut self.tensorboard {
            tensorboard.flush()?;
        }
        Ok(())
    }
}
