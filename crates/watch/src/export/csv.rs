//! CSV in long form: one row for each number of each event.
//!
//! Columns: `run`, the run folder's name; `time`, seconds since 1970-01-01 UTC; `step`, optimizer steps done;
//! `adapter`, empty for the whole run and the bare base model; `name` as in [`super::scalars`]; `value`, in as many
//! digits as it needs to be read back as it was.

use std::path::Path;

use verdict_train::Event;

use super::append::Append;
use super::scalars;
use crate::error::Result;

const HEAD: [&str; 6] = ["run", "time", "step", "adapter", "name", "value"];

/// The file.
#[derive(Debug)]
pub struct Csv {
    file: Append,
}

impl Csv {
    /// A file; one that is there is replaced.
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

    pub(super) fn begin_again(&mut self) {
        *self = Csv::new(self.file.path());
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }

    fn row(&mut self, row: [&str; 6]) {
        let mut writer = ::csv::WriterBuilder::new().from_writer(self.file.waiting());
        // A vector takes everything.
        let written = writer.write_record(row);
        debug_assert!(written.is_ok());
    }
}
