//! How a data set is written: into a folder beside its own, which is moved into place when everything is on disk.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::dataset::{LOOKS, MANIFEST, UNLABELLED};
use crate::manifest::Manifest;
use crate::{Error, Result, Split};
use verdict_common::hash::hex;

/// Is the folder free to build into? With `overwrite` it may contain a data set, but nothing else: a wrong path must
/// not cost anyone their files.
pub(crate) fn check_out(out: &Path, overwrite: bool) -> Result<()> {
    let entries = match std::fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io(out)(error)),
    };
    let ours: Vec<String> = Split::ALL
        .into_iter()
        .map(Split::file_name)
        .chain([MANIFEST, UNLABELLED, "card.md", "card.html", LOOKS].map(str::to_owned))
        .collect();
    for entry in entries {
        let name = entry
            .map_err(Error::io(out))?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if !overwrite {
            return Err(Error::NotEmpty {
                path: out.to_owned(),
            });
        }
        if !ours.contains(&name) {
            return Err(Error::ForeignFile {
                path: out.to_owned(),
                found: name,
            });
        }
    }
    Ok(())
}

/// A folder beside `out` in which a data set or a shard is made. The final name appears only when everything is on
/// disk. Unfinished work is removed, including that of killed builds. A lock file beside the folder admits one build
/// at a time.
pub(crate) struct StagingFolder {
    out: PathBuf,
    new: PathBuf,
    // Dropped in this order: the folder goes while it is still locked.
    folder: Registered,
    _lock: Lock,
}

/// Folders and locks of the builds that run in this process.
static OPEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn open() -> MutexGuard<'static, Vec<PathBuf>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what unfinished builds of this process have on disk: for a process that ends now, as on Ctrl-C. A build
/// that is putting its finished set in place is waited for.
pub fn abandon() {
    let open = open();
    for path in open.iter() {
        // Threads that still write may put a file in a folder while it goes.
        for _ in 0..20 {
            let gone = match path.is_dir() {
                true => std::fs::remove_dir_all(path),
                false => std::fs::remove_file(path),
            };
            if gone.is_ok() || !path.exists() {
                break;
            }
        }
    }
    // Held to the end of the process: nothing is put in place any more.
    std::mem::forget(open);
}

/// A temporary folder that [`abandon`] knows.
struct Registered(Option<tempfile::TempDir>);

impl Registered {
    fn new(folder: tempfile::TempDir) -> Registered {
        open().push(folder.path().to_owned());
        Registered(Some(folder))
    }

    fn path(&self) -> &Path {
        self.0
            .as_ref()
            .map_or(Path::new(""), tempfile::TempDir::path)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(folder) = self.0.take() {
            open().retain(|path| path != folder.path());
        }
    }
}

/// A file that is locked while a folder is being made, and gone afterwards. The system unlocks it when a process
/// ends, however it ends.
struct Lock {
    path: PathBuf,
    _file: std::fs::File,
}

impl Lock {
    fn take(path: PathBuf, out: &Path) -> Result<Lock> {
        loop {
            let file = std::fs::OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(Error::io(&path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(Error::Busy {
                        path: out.to_owned(),
                    });
                }
                Err(std::fs::TryLockError::Error(error))
                    if error.kind() == std::io::ErrorKind::Unsupported => {}
                Err(std::fs::TryLockError::Error(error)) => return Err(Error::io(path)(error)),
            }
            // Another build may have ended, and taken its file with it, between opening and locking.
            if is_at(&file, &path) {
                open().push(path.clone());
                return Ok(Lock { path, _file: file });
            }
        }
    }
}

/// Whether the path still leads to the open file.
fn is_at(file: &std::fs::File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let same =
            |a: &std::fs::Metadata, b: &std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        let (ours, there) = (file.metadata(), std::fs::metadata(path));
        matches!((ours, there), (Ok(ours), Ok(there)) if same(&ours, &there))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Best effort: a file that stays is unlocked, and the next build takes it.
        let _ = std::fs::remove_file(&self.path);
        open().retain(|path| *path != self.path);
    }
}

impl StagingFolder {
    pub(crate) fn beside(out: &Path) -> Result<StagingFolder> {
        let parent = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        std::fs::create_dir_all(&parent).map_err(Error::io(&parent))?;
        let name = out.file_name().unwrap_or_default().to_string_lossy();
        let lock = Lock::take(parent.join(format!(".{name}.lock")), out)?;
        let prefix = format!(".{name}.partial-");
        // The builds that made these have ended: the lock is ours.
        for entry in std::fs::read_dir(&parent).map_err(Error::io(&parent))? {
            let entry = entry.map_err(Error::io(&parent))?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                restore(&entry.path(), out);
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(&parent)
            .map_err(Error::io(&parent))?;
        let folder = Registered::new(folder);
        let new = folder.path().join("new");
        std::fs::create_dir(&new).map_err(Error::io(&new))?;
        Ok(StagingFolder {
            out: out.to_owned(),
            new,
            folder,
            _lock: lock,
        })
    }

    /// The folder that gets the final name.
    pub(crate) fn new_folder(&self) -> &Path {
        &self.new
    }

    /// A folder for temporary files.
    pub(crate) fn scratch(&self) -> Result<PathBuf> {
        let scratch = self.folder.path().join("scratch");
        std::fs::create_dir(&scratch).map_err(Error::io(&scratch))?;
        Ok(scratch)
    }

    /// A new file of the set.
    pub(crate) fn file(&self, name: &str) -> Result<OutFile> {
        let path = self.new.join(name);
        let file = std::fs::File::create(&path).map_err(Error::io(&path))?;
        Ok(OutFile {
            path,
            file: std::io::BufWriter::with_capacity(1 << 20, file),
            hash: Sha256::new(),
        })
    }

    /// Writes the manifest.
    pub(crate) fn manifest(&self, manifest: &Manifest) -> Result<()> {
        let mut text =
            serde_json::to_vec_pretty(manifest).expect("a manifest has only texts and numbers");
        text.push(b'\n');
        write_file(&self.new.join(MANIFEST), &text)
    }

    /// Replaces what is in `out` by the new folder.
    pub(crate) fn finish(self) -> Result<()> {
        // Not abandoned halfway.
        let _open = open();
        let looks = self.out.join(LOOKS);
        if looks.exists() {
            std::fs::copy(&looks, self.new.join(LOOKS)).map_err(Error::io(&looks))?;
        }
        let old = self.folder.path().join("old");
        let replaced = match std::fs::rename(&self.out, &old) {
            Ok(()) => true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(Error::io(&self.out)(error)),
        };
        std::fs::rename(&self.new, &self.out).map_err(|error| {
            if replaced {
                // Best effort: put the old data set back.
                let _ = std::fs::rename(&old, &self.out);
            }
            Error::io(&self.out)(error)
        })
    }
}

/// A build that was killed between the two steps of putting its set in place has the old set in its folder: it goes
/// back.
fn restore(partial: &Path, out: &Path) {
    let old = partial.join("old");
    if old.is_dir() && !out.exists() {
        // Best effort: what cannot be moved is removed with the rest.
        let _ = std::fs::rename(old, out);
    }
}

/// A file of a set while it is written, and its hash so far.
pub(crate) struct OutFile {
    path: PathBuf,
    file: std::io::BufWriter<std::fs::File>,
    hash: Sha256,
}

impl OutFile {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes).map_err(Error::io(&self.path))
    }

    /// Ends the file and gives its hash.
    pub(crate) fn finish(mut self) -> Result<String> {
        let sync = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all());
        sync.map_err(Error::io(&self.path))?;
        Ok(hex(&self.hash.finalize()))
    }
}

pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = std::fs::File::create(path)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()
    };
    write().map_err(Error::io(path))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::path::Path;

    use super::{StagingFolder, abandon, write_file};
    use crate::Error;

    #[test]
    fn one_build_at_a_time_makes_a_folder_and_nothing_is_left_of_those_that_died() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("set");
        let names = || -> Vec<String> {
            let entries = std::fs::read_dir(folder.path()).expect("reads");
            let names = entries.map(|entry| entry.expect("reads").file_name());
            names
                .map(|name| name.to_string_lossy().into_owned())
                .collect()
        };
        // Killed builds: one before anything was in place, one while it replaced a set.
        std::fs::create_dir_all(folder.path().join(".set.partial-1/new")).expect("made");
        let old = folder.path().join(".set.partial-2/old");
        std::fs::create_dir_all(&old).expect("made");
        std::fs::write(old.join("row"), "x").expect("written");
        let first = StagingFolder::beside(&out).expect("free");
        assert!(out.join("row").is_file(), "the old set is back");
        assert_eq!(names().len(), 3, "{:?}", names());
        let error = StagingFolder::beside(&out).err().expect("busy");
        assert!(
            matches!(&error, Error::Busy { path } if *path == out),
            "{error}"
        );
        assert!(error.hint().is_some());
        let beside = StagingFolder::beside(&folder.path().join("other")).expect("another folder");
        drop((first, beside));
        assert_eq!(names(), ["set"]);
        let second = StagingFolder::beside(&out).expect("free again");
        assert_eq!(names().len(), 3);
        drop(second);
    }

    #[test]
    fn nothing_is_left_of_an_abandoned_build() {
        // In a process of its own: nothing is put in place afterwards. The runner gives each test one.
        if std::env::var_os("NEXTEST").is_none() {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let staging = StagingFolder::beside(&folder.path().join("set")).expect("free");
        std::fs::write(staging.new_folder().join("train.jsonl"), "row").expect("written");
        abandon();
        let left = std::fs::read_dir(folder.path()).expect("reads").count();
        std::mem::forget(staging);
        assert_eq!(left, 0);
    }

    #[test]
    fn a_full_disk_is_reported_with_the_file() {
        let error = write_file(Path::new("/dev/full"), b"row\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/dev/full: No space left on device (os error 28)"
        );
    }
}
