//! Whether one run reproduces another: differences in their settings and in their adapters.

use serde::Serialize;

use crate::card;
use crate::manifest::{AdapterRecord, Manifest};
use crate::settings::TrainSettings;

/// An adapter of a run compared with the same adapter of another run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdapterComparison {
    /// The adapter's name.
    pub name: String,
    /// Whether all of its files are bitwise identical, except for the model card, which describes the machine.
    pub same: bool,
    /// The files that differ or that only one of the two has.
    pub differs: Vec<String>,
}

/// Compares every adapter of the first run, in the order of its grid, with that of the second; then those
/// that only the second has.
pub fn compare(first: &Manifest, second: &Manifest) -> Vec<AdapterComparison> {
    let find = |of: &Manifest, name: &str| -> Option<AdapterRecord> {
        let mut adapters = of.adapters.iter();
        adapters.find(|record| record.adapter.name == name).cloned()
    };
    let known = first.adapters.iter().map(|record| &record.adapter.name);
    let new = second.adapters.iter().map(|record| &record.adapter.name);
    let new = new.filter(|name| find(first, name).is_none());
    known
        .chain(new)
        .map(|name| {
            let files = |of: &Manifest| {
                let record = find(of, name);
                let mut files = record.map_or_else(Default::default, |record| record.files);
                files.remove(card::FILE);
                files
            };
            let (mine, other) = (files(first), files(second));
            let mut differs: Vec<String> = mine
                .iter()
                .filter(|(file, hash)| other.get(*file) != Some(hash))
                .chain(other.iter().filter(|(file, _)| !mine.contains_key(*file)))
                .map(|(file, _)| file.clone())
                .collect();
            differs.sort();
            AdapterComparison {
                name: name.clone(),
                same: differs.is_empty(),
                differs,
            }
        })
        .collect()
}

/// Keys of the settings that affect results and differ. The paths of the data set and the model are not
/// compared, because their hashes are.
pub fn differing(first: &TrainSettings, second: &TrainSettings) -> Vec<String> {
    let keys = |settings: &TrainSettings| {
        let mut table = toml::Table::try_from(settings.of_results()).unwrap_or_default();
        for key in ["data", "model", "out", "device", "shard"] {
            table.remove(key);
        }
        table
    };
    let (first, second) = (keys(first), keys(second));
    let mut differs: Vec<String> = first
        .keys()
        .chain(second.keys())
        .filter(|key| first.get(*key) != second.get(*key))
        .cloned()
        .collect();
    differs.sort();
    differs.dedup();
    differs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_change_no_result_do_not_differ() {
        let first = TrainSettings {
            steps: Some(3),
            ..TrainSettings::default()
        };
        let elsewhere = TrainSettings {
            data: "other".into(),
            out: "other".into(),
            threads: Some(3),
            checkpoint_every: Some(1),
            ..first.clone()
        };
        assert!(differing(&first, &elsewhere).is_empty());
        let other = TrainSettings {
            steps: None,
            epochs: Some(2.0),
            lr: vec![1.0],
            ..elsewhere
        };
        assert_eq!(differing(&first, &other), ["epochs", "lr", "steps"]);
    }
}
