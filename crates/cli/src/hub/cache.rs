//! The cache: `models/<name>/` and `datasets/<name>/`, each with its files and a manifest, which is written last.
//!
//! Downloads go to `models/.partial/<name>/`. A finished download is renamed to its final name, so a folder with a final
//! name is complete. An interrupted download stays and is resumed.

use super::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use verdict_common::hash::sha256_file;

/// The files of a cached model or data set, and where they came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The name under which it is requested.
    pub name: String,
    /// `hub:<repo>@<commit>` or `pip:<requirement>`.
    pub source: String,
    /// Its files.
    pub files: Vec<FileEntry>,
}

/// A cached file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path in the repository.
    pub name: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// SHA-256, if the source publishes it and it was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A file that was downloaded and checked, and is not in its final place yet.
pub struct Fetched {
    /// Where it is now.
    pub path: PathBuf,
    /// Its entry in the manifest.
    pub entry: FileEntry,
}

/// The models or the data sets of Verdict's cache folder.
#[derive(Clone, Debug)]
pub struct Cache {
    part: PathBuf,
    /// File name of the manifests.
    manifest: &'static str,
}

/// Verdict's cache folder: `VERDICT_CACHE`, else `XDG_CACHE_HOME/verdict`, else `~/.cache/verdict`.
///
/// # Errors
/// [`Error::NoCacheFolder`] if none of them is set.
pub fn cache_folder() -> Result<PathBuf> {
    let var = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    var("VERDICT_CACHE")
        .or_else(|| var("XDG_CACHE_HOME").map(|d| d.join("verdict")))
        .or_else(|| std::env::home_dir().map(|d| d.join(".cache/verdict")))
        .ok_or(Error::NoCacheFolder)
}

impl Cache {
    /// The models of a cache folder.
    pub fn models(folder: &Path) -> Cache {
        Cache {
            part: folder.join("models"),
            manifest: "verdict-model.json",
        }
    }

    /// The data sets of a cache folder.
    pub fn datasets(folder: &Path) -> Cache {
        Cache {
            part: folder.join("datasets"),
            manifest: "verdict-dataset.json",
        }
    }

    /// The final folder of a name.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.part.join(folder_name(name))
    }

    /// The download folder of a name.
    pub fn partial(&self, name: &str) -> Result<PathBuf> {
        let path = self.part.join(".partial").join(folder_name(name));
        std::fs::create_dir_all(&path).map_err(Error::io(&path))?;
        Ok(path)
    }

    /// The manifest of a name, if it is in the cache. The lengths of the files are checked.
    pub fn get(&self, name: &str) -> Result<Option<Manifest>> {
        let folder = self.folder(name);
        let path = folder.join(self.manifest);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&path)(e)),
        };
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| Error::Damaged {
            path: path.clone(),
            folder: folder.clone(),
            expected: "a manifest".to_string(),
            found: e.to_string(),
        })?;
        for file in &manifest.files {
            let path = folder.join(&file.name);
            let found = match std::fs::metadata(&path) {
                Ok(meta) if meta.len() == file.size_bytes => continue,
                Ok(meta) => format!("{} bytes", meta.len()),
                Err(e) => e.to_string(),
            };
            let expected = format!("{} bytes", file.size_bytes);
            return Err(Error::Damaged {
                path,
                folder,
                expected,
                found,
            });
        }
        Ok(Some(manifest))
    }

    /// What to open: the GGUF file if it is the only file, else the folder.
    pub fn path(&self, manifest: &Manifest) -> PathBuf {
        let folder = self.folder(&manifest.name);
        match manifest.files.as_slice() {
            [file] => folder.join(&file.name),
            _ => folder,
        }
    }

    /// All complete entries, by name. Damaged ones are skipped.
    pub fn list(&self) -> Vec<Manifest> {
        let Ok(entries) = std::fs::read_dir(&self.part) else {
            return Vec::new();
        };
        let mut found: Vec<Manifest> = entries
            .filter_map(|e| {
                let text = std::fs::read(e.ok()?.path().join(self.manifest)).ok()?;
                let name = serde_json::from_slice::<Manifest>(&text).ok()?.name;
                self.get(&name).ok()?
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Moves downloaded files to their final place, all at once, and removes the partial folder.
    pub fn install(&self, name: &str, source: String, files: Vec<Fetched>) -> Result<Manifest> {
        let partial = self.partial(name)?;
        let ready = partial.join("ready");
        remove_folder(&ready)?;
        std::fs::create_dir(&ready).map_err(Error::io(&ready))?;
        for file in &files {
            let to = ready.join(&file.entry.name);
            let parent = to.parent().unwrap_or(&ready);
            std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
            // Files with the same bytes are one blob in the hub's cache, so they cannot be renamed.
            let linked = std::fs::hard_link(&file.path, &to);
            linked
                .or_else(|_| std::fs::copy(&file.path, &to).map(drop))
                .map_err(Error::io(&to))?;
        }
        let files = files.into_iter().map(|f| f.entry).collect();
        let manifest = Manifest {
            name: name.to_string(),
            source,
            files,
        };
        let text = serde_json::to_string_pretty(&manifest).expect("plain JSON values");
        let path = ready.join(self.manifest);
        std::fs::write(&path, text).map_err(Error::io(&path))?;
        let folder = self.folder(name);
        // A folder without a manifest is a leftover. One with a manifest was installed by another process meanwhile.
        if !folder.join(self.manifest).is_file() {
            remove_folder(&folder)?;
            std::fs::rename(&ready, &folder).map_err(Error::io(&folder))?;
        }
        remove_folder(&partial)?;
        Ok(manifest)
    }
}

/// The folder of a name: `org/name` has no slash on disk.
fn folder_name(name: &str) -> String {
    name.replace('/', "--")
}

pub fn remove_folder(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path)(e)),
        _ => Ok(()),
    }
}

/// SHA-256 of a file, in hexadecimal.
pub fn sha256(path: &Path) -> Result<String> {
    sha256_file(path).map_err(Error::io(path))
}
