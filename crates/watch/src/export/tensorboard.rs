//! A run as TensorBoard's runs: one for each adapter, one for the bare base model, one (the folder itself) for the
//! speed of all. The adapters of folds are left out: each has one number, and they may be hundreds.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use verdict_train::{Event, EventKind};

use super::append::Append;
use super::record::{self, What};
use super::scalars;
use crate::error::Result;

/// Folder of the bare base model's validation.
pub const BASE: &str = "base";

/// The files of a run.
#[derive(Debug)]
pub struct TensorBoard {
    folder: PathBuf,
    files: BTreeMap<String, Append>,
    /// When the run began: part of the files' names, so that another run's are others.
    began: Option<f64>,
    /// Files of a run that this one took the place of.
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
            // TensorBoard reads files with this word in their names, in the names' order.
            let name = format!("events.out.tfevents.{:010}.verdict", began as u64);
            let mut file = Append::new(folder.join(run).join(name));
            record::write(file.waiting(), began, 0, &What::Version);
            record::write(file.waiting(), began, 0, &What::Start);
            file
        });
        let step = event.step as u64;
        record::write(file.waiting(), event.time, step, &What::Scalars(&scalars));
    }

    pub(super) fn begin_again(&mut self) {
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
                // One that is gone already is as well.
                let _ = fs::remove_file(old);
            }
        }
        Ok(())
    }
}

/// A name as a folder's: what could lead elsewhere, or be hidden, becomes `_`.
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
    fn a_name_leads_nowhere_else() {
        assert_eq!(file_name("r16-lr3e-4-s42"), "r16-lr3e-4-s42");
        assert_eq!(file_name("../../etc"), "_._.._etc");
        assert_eq!(file_name("/a\\b"), "_a_b");
        assert_eq!(file_name(""), "_");
    }
}
