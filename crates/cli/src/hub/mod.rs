//! Downloads models and data sets from the Hugging Face hub, or a mirror with the same protocol, into a [`Cache`], with the
//! `hf-hub` crate.
//!
//! hf-hub keeps partial files and resumes them, but has no timeouts and verifies no hashes. So it runs on a thread of its
//! own, and an attempt ends after too long a silence. Downloads are checked against the SHA-256 that the hub publishes for
//! large files.

mod cache;
mod error;
#[cfg(test)]
pub mod fakes;

pub use cache::{Cache, Fetched, FileEntry, Manifest, cache_folder, remove_folder, sha256};
pub use error::{Error, Result};

use hf_hub::Cache as HubCache;
use hf_hub::Repo;
pub use hf_hub::RepoType;
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Attempts per file when the connection breaks.
const ATTEMPTS: usize = 4;
/// The branch if no revision is given.
pub const MAIN: &str = "main";
/// The file that lists the shards of a model, which are downloaded with it.
pub const INDEX: &str = "model.safetensors.index.json";

/// What happens during a download.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress<'a> {
    /// A step starts.
    Note(&'a str),
    /// Bytes of a file arrived.
    Bytes {
        /// Its name.
        file: &'a str,
        /// Bytes received.
        done: u64,
        /// Bytes in total.
        total: u64,
    },
}

/// What to download from a hub.
pub struct Request {
    /// Model or data set.
    pub kind: RepoType,
    /// The repository, as `org/name`.
    pub repo: String,
    /// Branch, tag or commit; [`MAIN`] by default.
    pub revision: String,
    /// Chooses among the files of the repository.
    pub choose: Box<Choose>,
}

/// Chooses files by name.
pub type Choose = dyn Fn(&BTreeSet<String>) -> Result<Vec<String>> + Send;

/// A hub and how to access it.
#[derive(Clone, Debug)]
pub struct Hub {
    /// Address without a slash at the end.
    pub endpoint: String,
    /// Access token for private or gated repositories.
    pub token: Option<String>,
    /// Whether the network must not be used.
    pub offline: bool,
    /// Silence after which an attempt ends.
    pub patience: Duration,
}

/// A commit of a repository, downloaded and checked.
pub struct Snapshot {
    /// The commit.
    pub commit: String,
    /// Its files.
    pub files: Vec<Fetched>,
}

enum Event {
    Bytes { file: String, done: u64, total: u64 },
    Checking { file: String },
    Done(Result<Snapshot>),
}

impl Hub {
    /// From `HF_ENDPOINT`, `HF_TOKEN` (or the token that Hugging Face's own tools saved) and
    /// `HF_HUB_OFFLINE`.
    pub fn from_env() -> Hub {
        let var = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
        let endpoint = var("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_string());
        Hub {
            endpoint: endpoint.trim_end_matches('/').to_string(),
            token: var("HF_TOKEN").or_else(|| {
                // hf-hub panics if there is no home folder.
                std::env::home_dir().and_then(|_| HubCache::from_env().token())
            }),
            offline: var("HF_HUB_OFFLINE").is_some_and(|v| v != "0"),
            patience: Duration::from_secs(30),
        }
    }

    /// Downloads what is requested into `partial`. Resuming an earlier attempt costs only what is
    /// missing.
    pub fn fetch(
        &self,
        request: Request,
        partial: &Path,
        progress: &dyn Fn(Progress),
    ) -> Result<Snapshot> {
        let unreachable = |reason: String| Error::Unreachable {
            endpoint: self.endpoint.clone(),
            reason,
        };
        if self.offline {
            return Err(unreachable("HF_HUB_OFFLINE is set".to_string()));
        }
        let repo = request.repo.clone();
        tracing::info!(repo, revision = request.revision, "fetching from the hub");
        let (sender, events) = channel();
        let work = Work {
            hub: self.clone(),
            request,
            partial: partial.to_path_buf(),
            sender: sender.clone(),
        };
        std::thread::spawn(move || {
            let done = work.run();
            // The receiver is gone after a timeout.
            let _ = sender.send(Event::Done(done));
        });
        let started = std::time::Instant::now();
        let mut patience = self.patience;
        loop {
            match events.recv_timeout(patience) {
                Ok(Event::Bytes { file, done, total }) => {
                    patience = self.patience;
                    progress(Progress::Bytes {
                        file: &file,
                        done,
                        total,
                    });
                }
                Ok(Event::Checking { file }) => {
                    // Hashing takes as long as the disk needs, and always ends.
                    patience = Duration::from_secs(24 * 60 * 60);
                    progress(Progress::Note(&format!("checking {file}")));
                }
                Ok(Event::Done(done)) => {
                    if let Ok(snapshot) = &done {
                        let sizes = snapshot.files.iter().map(|file| file.entry.size_bytes);
                        tracing::info!(
                            repo,
                            commit = snapshot.commit,
                            files = snapshot.files.len(),
                            bytes = sizes.sum::<u64>(),
                            seconds = started.elapsed().as_secs_f64(),
                            "fetched from the hub"
                        );
                    }
                    return done;
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(unreachable(format!(
                        "nothing was received for {} s",
                        self.patience.as_secs()
                    )));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(unreachable("the download stopped unexpectedly".to_string()));
                }
            }
        }
    }
}

/// One download, on its own thread.
struct Work {
    hub: Hub,
    request: Request,
    partial: PathBuf,
    sender: Sender<Event>,
}

impl Work {
    fn run(&self) -> Result<Snapshot> {
        let cache = HubCache::new(self.partial.join("hub"));
        let api = ApiBuilder::from_cache(cache.clone())
            .with_endpoint(self.hub.endpoint.clone())
            .with_token(self.hub.token.clone())
            .with_progress(false)
            .with_user_agent("verdict", env!("CARGO_PKG_VERSION"))
            .build()
            .map_err(|e| self.error(e, ""))?;
        let info = api.repo(self.repo(&self.request.revision)).info();
        let info = info.map_err(|e| self.error(e, ""))?;
        let names = info.siblings.into_iter().map(|s| s.rfilename);
        let names: BTreeSet<String> = names.filter(|name| is_plain(name)).collect();
        let repo = self.repo(&info.sha);
        let source = Source {
            work: self,
            api: api.repo(repo.clone()),
            cache,
            repo,
        };
        let mut files = Vec::new();
        for name in (self.request.choose)(&names)? {
            files.push(source.file(&name)?);
            if name == INDEX {
                let index = &files[files.len() - 1].path;
                for shard in shards(index)? {
                    files.push(source.file(&shard)?);
                }
            }
        }
        Ok(Snapshot {
            commit: info.sha,
            files,
        })
    }

    fn repo(&self, revision: &str) -> Repo {
        let Request { kind, repo, .. } = &self.request;
        Repo::with_revision(repo.clone(), *kind, revision.to_string())
    }

    fn error(&self, error: ApiError, file: &str) -> Error {
        let revision = self.request.revision.as_str();
        let repo = format!("{}/{}", self.hub.endpoint, self.repo(revision).url());
        let url = match (file, revision) {
            ("", MAIN) => repo,
            ("", revision) => format!("{repo}/tree/{revision}"),
            (file, _) => format!("{repo}/{file}"),
        };
        match status(&error) {
            Some(status) => Error::Status { url, status },
            None => Error::Unreachable {
                endpoint: self.hub.endpoint.clone(),
                reason: error.to_string(),
            },
        }
    }
}

/// The repository at one commit.
struct Source<'a> {
    work: &'a Work,
    api: ApiRepo,
    cache: HubCache,
    repo: Repo,
}

impl Source<'_> {
    /// Downloads one file and checks it.
    fn file(&self, name: &str) -> Result<Fetched> {
        let pointer = match self.cache.repo(self.repo.clone()).get(name) {
            Some(pointer) => pointer,
            None => self.download(name)?,
        };
        // The cache's files are links to blobs that are named by their ETag.
        let path = std::fs::canonicalize(&pointer).map_err(Error::io(&pointer))?;
        let size_bytes = std::fs::metadata(&path).map_err(Error::io(&path))?.len();
        let etag = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // The ETag of a large file is its SHA-256, that of a small one is git's hash.
        let is_sha256 = etag.len() == 64 && etag.bytes().all(|b| b.is_ascii_hexdigit());
        if is_sha256 {
            self.send(Event::Checking {
                file: name.to_string(),
            });
            let found = sha256(&path)?;
            if found != etag {
                self.discard(&pointer, &path)?;
                return Err(Error::WrongChecksum {
                    file: format!("{}/{name}", self.work.request.repo),
                    expected: etag,
                    found,
                });
            }
        }
        let sha256 = is_sha256.then_some(etag);
        Ok(Fetched {
            path,
            entry: FileEntry {
                name: name.to_string(),
                size_bytes,
                sha256,
            },
        })
    }

    /// Downloads one file; resumes after the connection broke.
    fn download(&self, name: &str) -> Result<PathBuf> {
        let mut attempt = 1;
        loop {
            let mut watch = Watch {
                sender: self.work.sender.clone(),
                file: String::new(),
                done: 0,
                total: 0,
            };
            let error = match self.api.download_with_progress(name, &mut watch) {
                Ok(pointer) => {
                    let path = std::fs::canonicalize(&pointer).map_err(Error::io(&pointer))?;
                    let found = std::fs::metadata(&path).map_err(Error::io(&path))?.len();
                    if found == watch.total {
                        return Ok(pointer);
                    }
                    self.discard(&pointer, &path)?;
                    let file = format!("{}/{name}", self.work.request.repo);
                    return Err(Error::WrongSize {
                        file,
                        expected: watch.total,
                        found,
                    });
                }
                Err(ApiError::IoError(source)) if is_of_the_disk(&source) => {
                    return Err(Error::Io {
                        path: self.work.partial.clone(),
                        source,
                    });
                }
                Err(error) => error,
            };
            match status(&error) {
                // The partial file does not fit the remote one (any more), so start again.
                Some(416) => self.drop_parts(),
                None if matches!(error, ApiError::InvalidResume) => self.drop_parts(),
                Some(400..=499) => return Err(self.work.error(error, name)),
                _ => {}
            }
            if attempt == ATTEMPTS {
                return Err(self.work.error(error, name));
            }
            let (repo, of) = (&self.work.request.repo, ATTEMPTS);
            tracing::warn!(repo, file = name, attempt, of, error = %error, "download broke off, trying again");
            std::thread::sleep(Duration::from_millis(300) * (1 << attempt));
            attempt += 1;
        }
    }

    fn discard(&self, pointer: &Path, blob: &Path) -> Result<()> {
        for path in [pointer, blob] {
            std::fs::remove_file(path).map_err(Error::io(path))?;
        }
        Ok(())
    }

    /// Deletes partial files.
    fn drop_parts(&self) {
        let blobs = self
            .cache
            .path()
            .join(self.repo.folder_name())
            .join("blobs");
        for entry in std::fs::read_dir(blobs).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|e| e == "part") {
                // If it cannot be removed, the next attempt fails like this one.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    fn send(&self, event: Event) {
        // The receiver is gone after a timeout.
        let _ = self.work.sender.send(event);
    }
}

/// Forwards hf-hub's progress to the waiting thread.
struct Watch {
    sender: Sender<Event>,
    file: String,
    done: u64,
    total: u64,
}

impl hf_hub::api::Progress for &mut Watch {
    fn init(&mut self, size: usize, filename: &str) {
        self.file = filename.to_string();
        self.total = size as u64;
        self.done = 0;
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        let event = Event::Bytes {
            file: self.file.clone(),
            done: self.done,
            total: self.total,
        };
        // The receiver is gone after a timeout.
        let _ = self.sender.send(event);
    }

    fn finish(&mut self) {}
}

/// Whether a name stays within its folder.
fn is_plain(name: &str) -> bool {
    let part = |part: Component<'_>| matches!(part, Component::Normal(_));
    !name.contains('\\') && Path::new(name).components().all(part)
}

/// The HTTP status of an error, if there is one.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the disk failed rather than the connection.
fn is_of_the_disk(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(
        error.kind(),
        PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull
    )
}

/// The shards that an index lists.
fn shards(index: &Path) -> Result<BTreeSet<String>> {
    let damaged = |found: String| Error::Damaged {
        path: index.to_path_buf(),
        folder: index.parent().unwrap_or(index).to_path_buf(),
        expected: "a safetensors index".to_string(),
        found,
    };
    let text = std::fs::read(index).map_err(Error::io(index))?;
    let json: serde_json::Value =
        serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
    let map = json["weight_map"]
        .as_object()
        .ok_or_else(|| damaged("no weight_map".to_string()))?;
    map.values()
        .map(|v| match v.as_str() {
            Some(name) if Path::new(name).file_name() == Some(name.as_ref()) => {
                Ok(name.to_string())
            }
            _ => Err(damaged(format!("shard {v}"))),
        })
        .collect()
}
