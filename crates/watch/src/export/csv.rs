//! CSV in long format: one row for each metric of each event.
//!
//! Columns: `run`, the run folder's name; `time`, seconds since 1970-01-01 UTC; `step`, optimizer steps done;
//! `adapter`, empty for the whole run and the bare base model; `name` as in [`super::scalars()`]; `value`, with as
//! many digits as are needed to read it back exactly.

use std::path::Path;

use verdict_train::Event;

use super::append::Append;
use super::scalars::scalars;
use crate::error::Result;

const HEAD: [&str; 6] = ["run", "time", "step", "adapter", "name", "value"];

/// The file.
#[derive(Debug)]
pub struct Csv {
    file: Append,
}

impl Csv {
    /// A new file; an existing one is replaced.
    pub fn new(path: &Path) -> Csv {
        let mut csv = Csv {
            file: Append::new(path.to_path_buf()),
        };
        csv.row(HEAD);
        csv
    }

    pub(super) fn event(&mut self, run: &str, event: &Event) {
        let (time, step) = (event.time.to_string(), event.step.to_string());
        let adapter = event.adapter.as_deref().unwrap_or_default();
        for (name, value) in scalars(event) {
            self.row([run, &time, &step, adapter, name, &value.to_string()]);
        }
    }

    pub(super) fn restart(&mut self) {
        *self = Csv::new(self.file.path());
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }

    fn row(&mut self, row: [&str; 6]) {
        let mut writer = ::csv::WriterBuilder::new().from_writer(self.file.pending());
        // Writing into a vector cannot fail.
        let written = writer.write_record(row);
        debug_assert!(written.is_ok());
    }
}
