//! Recognizes data set and run folders, for commands that were given the wrong kind.

use std::path::Path;

use crate::failure::{Failure, Result};
use crate::shell;

/// Whether a folder is a data set, finished or not, and not a run.
fn is_data_set(folder: &Path) -> bool {
    folder.join("train.jsonl").is_file() && !is_run(folder)
}

/// Whether a folder is a run, finished or not.
fn is_run(folder: &Path) -> bool {
    folder.join("settings.toml").is_file() || folder.join("shards").is_dir()
}

/// Refuses a data set where a run is expected.
pub fn refuse_data_set(folder: &Path) -> Result {
    if !is_data_set(folder) {
        return Ok(());
    }
    let failure = Failure::input(format!(
        "{}: expected a run folder, found a data set",
        folder.display()
    ));
    Err(failure.hint(format!(
        "train on it first, then give the run folder here: verdict train --data {} --model smollm2-135m --out run",
        shell::word(folder)
    )))
}

/// Refuses a run where `--data` expects a data set.
pub fn refuse_run(folder: &Path) -> Result {
    if !is_run(folder) {
        return Ok(());
    }
    let failure = Failure::input(format!(
        "--data {}: expected a data set folder, found a run",
        folder.display()
    ));
    let run = shell::word(folder);
    Err(failure.hint(format!(
        "`verdict build` writes data sets; commands that take a run: verdict eval {run}, verdict ask --run {run}, \
         verdict train --resume {run}, verdict train --like {run}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_folder_is_told_from_the_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let make = |name: &str, file: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).expect("made");
            std::fs::write(path.join(file), "").expect("written");
            path
        };
        let data = make("my data", "train.jsonl");
        let run = make("run", "settings.toml");
        let other = make("other", "notes.txt");
        for folder in [&run, &other, &folder.path().join("none")] {
            refuse_data_set(folder).expect("no data set");
        }
        for folder in [&data, &other, &folder.path().join("none")] {
            refuse_run(folder).expect("no run");
        }
        let failure = refuse_data_set(&data).expect_err("a data set");
        assert!(failure.faults[0].ends_with("my data: expected a run folder, found a data set"));
        assert!(
            failure.hints[0].contains("my data' --model"),
            "{:?}",
            failure.hints
        );
        let failure = refuse_run(&run).expect_err("a run");
        assert!(failure.faults[0].ends_with("run: expected a data set folder, found a run"));
    }
}
