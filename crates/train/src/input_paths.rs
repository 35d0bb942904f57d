//! Where a run found its data set and its model: `paths.json`. Settings keep paths as they were given, so
//! that the same settings are the same bytes. But a relative path is not valid from another folder, and
//! an absolute one is not valid after everything was moved.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files;
use crate::settings::TrainSettings;

pub(crate) const PATHS: &str = "paths.json";

/// The paths of a run's data set and model. A model given by name instead of a path has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputPaths {
    /// The data set's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<InputPath>,
    /// The model's folder or GGUF file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<InputPath>,
}

/// A path, stored in two forms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct InputPath {
    /// The absolute path.
    absolute: PathBuf,
    /// The path relative to the run folder, for runs that are moved or copied together with their inputs.
    from_run: PathBuf,
}

impl InputPaths {
    /// The paths in settings that are relative to the current folder, for a run in `dir`.
    pub(crate) fn of(settings: &TrainSettings, dir: &Path) -> Self {
        let of = |path: &Path| path.exists().then(|| InputPath::of(path, dir)).flatten();
        Self {
            data: of(&settings.data),
            model: of(Path::new(&settings.model)),
        }
    }

    /// The same paths for another run folder.
    pub(crate) fn relative_to(&self, dir: &Path) -> Self {
        let of = |path: &Option<InputPath>| InputPath::of(&path.as_ref()?.absolute, dir);
        Self {
            data: of(&self.data),
            model: of(&self.model),
        }
    }

    /// The paths of the run in `dir`; empty where it was written by a version that did not store them.
    ///
    /// # Errors
    /// [`Error::Json`] for a broken file.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(PATHS);
        let Ok(text) = std::fs::read_to_string(&path) else {
            return Ok(Self::default());
        };
        serde_json::from_str(&text).map_err(|fault| Error::Json {
            path,
            line: fault.line(),
            message: fault.to_string(),
        })
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::json!(self).to_string() + "\n";
        files::write(&dir.join(PATHS), text.as_bytes())
    }

    /// The settings of the run in `dir`, with paths of the data set and the model that are valid from the
    /// current folder. A path that is still valid stays as it was given.
    pub fn locate(&self, dir: &Path, settings: &TrainSettings) -> TrainSettings {
        let model = InputPath::locate(self.model.as_ref(), dir, Path::new(&settings.model));
        TrainSettings {
            data: InputPath::locate(self.data.as_ref(), dir, &settings.data),
            model: model.to_string_lossy().into_owned(),
            ..settings.clone()
        }
    }
}

impl InputPath {
    fn of(path: &Path, dir: &Path) -> Option<Self> {
        let absolute = std::path::absolute(path).ok()?;
        let from_run = relative(&std::path::absolute(dir).ok()?, &absolute);
        Some(Self { absolute, from_run })
    }

    fn locate(path: Option<&Self>, dir: &Path, given: &Path) -> PathBuf {
        let Some(path) = path else {
            return given.to_owned();
        };
        let relative = dir.join(&path.from_run);
        match [&path.absolute, &relative]
            .into_iter()
            .find(|of| of.exists())
        {
            Some(found) if !same(found, given) => found.clone(),
            _ => given.to_owned(),
        }
    }
}

fn same(first: &Path, second: &Path) -> bool {
    first.canonicalize().ok() == second.canonicalize().ok()
}

/// An absolute path relative to an absolute folder.
fn relative(dir: &Path, path: &Path) -> PathBuf {
    let (dir, path): (Vec<_>, Vec<_>) = (dir.components().collect(), path.components().collect());
    let shared = dir.iter().zip(&path).take_while(|(a, b)| a == b).count();
    let up = dir[shared..].iter().map(|_| Component::ParentDir);
    up.chain(path[shared..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_path_is_made_relative() {
        for (dir, path, expected) in [
            ("/w/run", "/w/model", "../model"),
            ("/w/run", "/w/run/model", "model"),
            ("/w/a/run", "/m/model.gguf", "../../../m/model.gguf"),
        ] {
            assert_eq!(
                relative(Path::new(dir), Path::new(path)),
                Path::new(expected)
            );
        }
    }

    #[test]
    fn paths_are_valid_from_another_folder_and_after_a_move() {
        let dir = tempfile::tempdir().expect("a folder");
        let whole = dir.path().join("whole");
        for name in ["run", "data", "model"] {
            std::fs::create_dir_all(whole.join(name)).expect("made");
        }
        let settings = TrainSettings {
            data: whole.join("data"),
            model: whole.join("model").to_string_lossy().into_owned(),
            ..TrainSettings::default()
        };
        let run = whole.join("run");
        InputPaths::of(&settings, &run)
            .write(&run)
            .expect("written");
        // Relative settings, which are not valid from the folder of this test.
        let given = TrainSettings {
            data: "data".into(),
            model: "model".into(),
            ..TrainSettings::default()
        };
        let found = InputPaths::read(&run).expect("read").locate(&run, &given);
        assert_eq!(
            (&found.data, &found.model),
            (&settings.data, &settings.model)
        );

        let moved = dir.path().join("moved");
        std::fs::rename(&whole, &moved).expect("moved");
        let run = moved.join("run");
        let found = InputPaths::read(&run).expect("read").locate(&run, &given);
        assert!(same(&found.data, &moved.join("data")), "{found:?}");
        assert!(same(Path::new(&found.model), &moved.join("model")));

        std::fs::remove_dir_all(moved.join("model")).expect("removed");
        let found = InputPaths::read(&run).expect("read").locate(&run, &given);
        assert_eq!(
            found.model, "model",
            "a path that exists nowhere stays as it was given"
        );
    }

    #[test]
    fn names_of_models_and_old_runs_have_no_paths() {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = TrainSettings {
            data: dir.path().to_owned(),
            model: "smollm2-135m".into(),
            ..TrainSettings::default()
        };
        let paths = InputPaths::of(&settings, &dir.path().join("run"));
        assert_eq!(paths.model, None);
        let old = InputPaths::read(dir.path()).expect("none");
        assert_eq!(old.locate(dir.path(), &settings), settings);
    }
}
