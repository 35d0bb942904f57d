//! The model cache: `models/<name>/` with the model's files and, written last, a manifest.
//!
//! Fetching happens in `models/.partial/<name>/`. A finished model moves to its final name in one
//! rename, so a folder under a final name is complete; an interrupted one stays behind and is gone
//! on with.

use super::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

const MANIFEST: &str = "verdict-model.json";

/// What a cached model is made of and where it came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The name it goes by.
    pub name: String,
    /// `hub:<repo>@<commit>` or `pip:<requirement>`.
    pub source: String,
    /// The model's files, the one to open first where it is a GGUF file.
    pub files: Vec<FileEntry>,
}

/// A file of a cached model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileEntry {
    /// File name.
    pub name: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// SHA-256, where the source publishes one that was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A file that was fetched and checked, not yet in its place.
pub struct Fetched {
    /// Where it lies now.
    pub path: PathBuf,
    /// What the manifest will say of it.
    pub entry: FileEntry,
}

/// The model part of Verdict's cache folder.
#[derive(Clone, Debug)]
pub struct Cache {
    models: PathBuf,
}

impl Cache {
    pub fn new(folder: &Path) -> Cache {
        Cache {
            models: folder.join("models"),
        }
    }

    /// Where the model of that name lies, or would.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.models.join(folder_name(name))
    }

    /// Where the model of that name is fetched to.
    pub fn partial(&self, name: &str) -> Result<PathBuf> {
        let path = self.models.join(".partial").join(folder_name(name));
        std::fs::create_dir_all(&path).map_err(Error::io(&path))?;
        Ok(path)
    }

    /// The model of that name, if it is there: its manifest, its files checked for their lengths.
    pub fn get(&self, name: &str) -> Result<Option<Manifest>> {
        let folder = self.folder(name);
        let path = folder.join(MANIFEST);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&path)(e)),
        };
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| Error::Damaged {
            path: path.clone(),
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
                expected,
                found,
            });
        }
        Ok(Some(manifest))
    }

    /// What to open: the GGUF file where that is all there is, else the folder.
    pub fn path(&self, manifest: &Manifest) -> PathBuf {
        let folder = self.folder(&manifest.name);
        match manifest.files.as_slice() {
            [file] => folder.join(&file.name),
            _ => folder,
        }
    }

    /// All complete models, by name. A damaged one is passed over.
    pub fn list(&self) -> Vec<Manifest> {
        let Ok(entries) = std::fs::read_dir(&self.models) else {
            return Vec::new();
        };
        let mut found: Vec<Manifest> = entries
            .filter_map(|e| {
                let text = std::fs::read(e.ok()?.path().join(MANIFEST)).ok()?;
                let name = serde_json::from_slice::<Manifest>(&text).ok()?.name;
                self.get(&name).ok()?
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Moves fetched files to their final place, all at once, and clears the partial folder.
    pub fn install(&self, name: &str, source: String, files: Vec<Fetched>) -> Result<Manifest> {
        let partial = self.partial(name)?;
        let ready = partial.join("ready");
        remove_folder(&ready)?;
        std::fs::create_dir(&ready).map_err(Error::io(&ready))?;
        for file in &files {
            let to = ready.join(&file.entry.name);
            // Two files of the same bytes are one blob to the hub's cache, so no rename.
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
        let path = ready.join(MANIFEST);
        std::fs::write(&path, text).map_err(Error::io(&path))?;
        let folder = self.folder(name);
        // A folder without a manifest is a rest of something else; one with a manifest was put
        // there by another process meanwhile, and is as good.
        if !folder.join(MANIFEST).is_file() {
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
    let mut file = File::open(path).map_err(Error::io(path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer).map_err(Error::io(path))?;
        if n == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..n]);
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
