//! A run as several TensorBoard runs: one for each adapter, one for the bare base model, and one (the folder itself) for
//! the throughput. Fits of folds are left out: each has a single validation, and there may be hundreds.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use verdict_train::{Event, EventKind};

use super::append::Append;
use super::record::{self, Record};
use super::scalars::scalars;
use crate::error::Result;

/// Folder of the bare base model's validation.
pub const BASE: &str = "base";

/// The files of a run.
#[derive(Debug)]
pub struct TensorBoard {
    folder: PathBuf,
    files: BTreeMap<String, Append>,
    /// Start time of the run: part of the file names, so that another run has other files.
    began: Option<f64>,
    /// Files of a run that was replaced by this one.
    old: Vec<PathBuf>,
}

impl TensorBoard {
    /// Files in a folder.
    pub fn new(folder: PathBuf) -> TensorBoard {
        TensorBoard {
            folder,
            files: BTreeMap::new(),
            began: None,
            old: Vec::new(),
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        let began = *self.began.get_or_insert(event.time);
        let mut scalars = scalars(event);
        scalars.retain(|(name, _)| *name != "validation/n");
        if scalars.is_empty() {
            return;
        }
        let run = match (&event.adapter, &event.kind) {
            (Some(name), _) if name.contains('@') => return,
            (Some(name), _) => file_name(name),
            (None, EventKind::Validation { .. }) => BASE.into(),
            (None, _) => String::new(),
        };
        let folder = &self.folder;
        let file = self.files.entry(run).or_insert_with_key(|run| {
            // TensorBoard reads files whose names contain `tfevents`, in the order of their names.
            let name = format!("events.out.tfevents.{:010}.verdict", began as u64);
            let mut file = Append::new(folder.join(run).join(name));
            record::write(file.pending(), began, 0, &Record::Version);
            record::write(file.pending(), began, 0, &Record::Start);
            file
        });
        let step = event.step as u64;
        record::write(file.pending(), event.time, step, &Record::Scalars(&scalars));
    }

    pub(super) fn restart(&mut self) {
        let files = std::mem::take(&mut self.files).into_values();
        self.old.extend(files.map(|file| file.path().to_path_buf()));
        self.began = None;
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        for file in self.files.values_mut() {
            file.flush()?;
        }
        let files = &self.files;
        for old in self.old.drain(..) {
            if files.values().all(|file| file.path() != old) {
                // The file may already be gone.
                let _ = fs::remove_file(old);
            }
        }
        Ok(())
    }
}

/// A folder name made of a run's or adapter's name: characters that could lead to another folder or hide it become `_`.
pub(super) fn file_name(name: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || "-._@+=".contains(c);
    let name: String = name
        .chars()
        .map(|c| if kept(c) { c } else { '_' })
        .collect();
    match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None if name.is_empty() => "_".into(),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn a_name_cannot_lead_to_another_folder() {
        assert_eq!(file_name("r16-lr3e-4-s42"), "r16-lr3e-4-s42");
        assert_eq!(file_name("../../etc"), "_._.._etc");
        assert_eq!(file_name("/a\\b"), "_a_b");
        assert_eq!(file_name(""), "_");
    }
}
