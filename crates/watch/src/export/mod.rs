//! A run's metrics for other programs: TensorBoard files and CSV, of finished and of running runs.
//!
//! What exists at the first poll is written under a temporary name and renamed; later events are appended, as in
//! `events.jsonl`. When a run is restarted, its files are written again.

mod append;
pub(crate) use self::append::replace;
pub mod csv;
pub mod record;
mod scalars;
pub mod tensorboard;

use std::path::Path;

use self::csv::Csv;
pub use self::scalars::scalars;
use self::tensorboard::TensorBoard;
use crate::error::Result;
use crate::follow::NewEvent;

/// The exports of all runs.
#[derive(Debug, Default)]
pub struct Exports {
    csv: Option<Csv>,
    tensorboard: Vec<TensorBoard>,
}

impl Exports {
    /// Exports to a CSV file and to a folder for TensorBoard, for runs with these names.
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

    /// Whether anything is exported.
    pub fn any(&self) -> bool {
        self.csv.is_some() || !self.tensorboard.is_empty()
    }

    /// Exports a new event of a run, given by its index and name.
    pub fn write(&mut self, index: usize, name: &str, new: &NewEvent) {
        let NewEvent::Event(event) = new else {
            return;
        };
        if let Some(csv) = &mut self.csv {
            csv.event(name, event);
        }
        if let Some(tensorboard) = self.tensorboard.get_mut(index) {
            tensorboard.event(event);
        }
    }

    /// Starts again: all events will be written once more.
    pub fn restart(&mut self) {
        if let Some(csv) = &mut self.csv {
            csv.restart();
        }
        for tensorboard in &mut self.tensorboard {
            tensorboard.restart();
        }
    }

    /// Writes pending data to the files.
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
