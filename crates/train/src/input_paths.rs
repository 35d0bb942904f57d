//! Where a run found its data set and its model, `paths.json`. Settings keep paths as they were given,
//! so that the same settings are the same bytes; a relative one means nothing to whoever uses the run
//! from another folder, and an absolute one nothing after all was moved.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files;
use crate::settings::TrainSettings;

pub(crate) const PATHS: &str = "paths.json";

/// The places of a run's data set and model. Names of models, which are no paths, have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputPaths {
    /// The data set's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Place>,
    /// The model's folder or GGUF file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<Place>,
}

/// A path, said twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// From the root.
    absolute: PathBuf,
    /// From the run folder, for runs that are moved or copied together with what they were made from.
    from_run: PathBuf,
}

impl InputPaths {
    /// Those of settings that are read in the current folder, for a run in `dir`.
    pub(crate) fn of(settings: &TrainSettings, dir: &Path) -> Self {
        let place = |path: &Path| path.exists().then(|| Place::of(path, dir)).flatten();
        Self {
            data: place(&settings.data),
            model: place(Path::new(&settings.model)),
        }
    }

    /// The same for another run folder.
    pub(crate) fn seen_from(&self, dir: &Path) -> Self {
        let place = |place: &Option<Place>| Place::of(&place.as_ref()?.absolute, dir);
        Self {
            data: place(&self.data),
            model: place(&self.model),
        }
    }

    /// Those of the run in `dir`; none where it was made by a version that did not write them.
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

    /// The settings of the run in `dir` with paths that lead to data set and model from the current
    /// folder. A path stays as it was given where it still leads there.
    pub fn found(&self, dir: &Path, settings: &TrainSettings) -> TrainSettings {
        let model = Place::find(self.model.as_ref(), dir, Path::new(&settings.model));
        TrainSettings {
            data: Place::find(self.data.as_ref(), dir, &settings.data),
            model: model.to_string_lossy().into_owned(),
            ..settings.clone()
        }
    }
}

impl Place {
    fn of(path: &Path, dir: &Path) -> Option<Self> {
        let absolute = std::path::absolute(path).ok()?;
        let from_run = from(&std::path::absolute(dir).ok()?, &absolute);
        Some(Self { absolute, from_run })
    }

    fn find(place: Option<&Self>, dir: &Path, given: &Path) -> PathBuf {
        let Some(place) = place else {
            return given.to_owned();
        };
        let near = dir.join(&place.from_run);
        match [&place.absolute, &near].into_iter().find(|of| of.exists()) {
            Some(found) if !same(found, given) => found.clone(),
            _ => given.to_owned(),
        }
    }
}

fn same(first: &Path, second: &Path) -> bool {
    first.canonicalize().ok() == second.canonicalize().ok()
}

/// The way from one absolute folder to another path.
fn from(dir: &Path, path: &Path) -> PathBuf {
    let (dir, path): (Vec<_>, Vec<_>) = (dir.components().collect(), path.components().collect());
    let shared = dir.iter().zip(&path).take_while(|(a, b)| a == b).count();
    let up = dir[shared..].iter().map(|_| Component::ParentDir);
    up.chain(path[shared..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_one_folder_to_another() {
        for (dir, path, expected) in [
            ("/w/run", "/w/model", "../model"),
            ("/w/run", "/w/run/model", "model"),
            ("/w/a/run", "/m/model.gguf", "../../../m/model.gguf"),
        ] {
            assert_eq!(from(Path::new(dir), Path::new(path)), Path::new(expected));
        }
    }

    #[test]
    fn places_hold_from_elsewhere_and_after_a_move() {
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
        // Relative settings, which mean nothing in the folder of this test.
        let given = TrainSettings {
            data: "data".into(),
            model: "model".into(),
            ..TrainSettings::default()
        };
        let found = InputPaths::read(&run).expect("read").found(&run, &given);
        assert_eq!(
            (&found.data, &found.model),
            (&settings.data, &settings.model)
        );

        let moved = dir.path().join("moved");
        std::fs::rename(&whole, &moved).expect("moved");
        let run = moved.join("run");
        let found = InputPaths::read(&run).expect("read").found(&run, &given);
        assert!(same(&found.data, &moved.join("data")), "{found:?}");
        assert!(same(Path::new(&found.model), &moved.join("model")));

        std::fs::remove_dir_all(moved.join("model")).expect("removed");
        let found = InputPaths::read(&run).expect("read").found(&run, &given);
        assert_eq!(
            found.model, "model",
            "what is nowhere stays as it was given"
        );
    }

    #[test]
    fn names_of_models_and_old_runs_have_no_place() {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = TrainSettings {
            data: dir.path().to_owned(),
            model: "smollm2-135m".into(),
            ..TrainSettings::default()
        };
        let places = InputPaths::of(&settings, &dir.path().join("run"));
        assert_eq!(places.model, None);
        let old = InputPaths::read(dir.path()).expect("none");
        assert_eq!(old.found(dir.path(), &settings), settings);
    }
}
