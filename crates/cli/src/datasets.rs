//! Sources of a build as they are written: those of this machine, and `hub:org/name/folder`, whose files
//! are fetched into the cache unless they are there, and then read as any others.
//!
//! PubMedQA's repository is known by its name. Of any other one JSON lines and tables are read.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use verdict_data::{Input, Source};

use crate::hub::{
    Cache, Error, Hub, MAIN, Manifest, Progress, RepoType, Result, Wanted, cache_folder,
};

/// How a source of a hub is written, for messages.
const KIND: &str = "hub:ORG/NAME/FOLDER-OR-FILE";

/// PubMedQA's repository.
const PUBMEDQA: &str = "qiaojin/PubMedQA";

/// What makes a source out of a path.
type Make = fn(PathBuf) -> Source;

/// PubMedQA's folders.
const CONFIGS: [(&str, Make); 3] = [
    ("pqa_labeled", Source::PubmedqaLabeled),
    ("pqa_artificial", Source::PubmedqaArtificial),
    ("pqa_unlabeled", Source::PubmedqaUnlabeled),
];

/// Files of a kind: their endings, and the source that reads them.
type Readable = (&'static [&'static str], Make);

/// What is read of any repository.
const OWN: &[Readable] = &[
    (&["jsonl"], Source::Jsonl),
    (&["csv", "tsv"], Source::Csv),
    (&["parquet"], Source::Parquet),
];

/// A source as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// On this machine.
    Here(Input),
    /// On a hub, or in the cache.
    Hub(Asked),
}

/// Files of a data set repository, and what is to be done with their rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Repository, path and revision, as they were written.
    name: String,
    /// `org/name`.
    repo: String,
    /// A folder or a file within; empty for the top.
    path: String,
    /// Branch, tag or commit.
    revision: String,
    /// The options. Its source is that of PubMedQA's folders, and stands for tables else.
    input: Input,
}

/// A fault of a source's text, which names the hub too where it names the kinds.
pub fn told(fault: &verdict_data::Error) -> String {
    use verdict_data::Error::{NoSources, UnknownSource};
    match fault {
        NoSources | UnknownSource { .. } => format!("{fault}, {KIND}"),
        _ => fault.to_string(),
    }
}

impl FromStr for Written {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Written, String> {
        let written = match text.strip_prefix("hub:") {
            Some(rest) => asked(text, rest).map(Written::Hub),
            None => text.parse().map(Written::Here),
        };
        written.map_err(|fault| told(&fault))
    }
}

impl Written {
    /// The source with its files on this machine.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn resolve(self, progress: &dyn Fn(Progress<'_>)) -> Result<Input> {
        match self {
            Written::Here(input) => Ok(input),
            Written::Hub(asked) => {
                let datasets = Datasets {
                    cache: Cache::datasets(&cache_folder()?),
                    hub: Hub::from_env(),
                };
                datasets.input(asked, progress)
            }
        }
    }
}

/// Reads what stands behind `hub:`.
fn asked(text: &str, rest: &str) -> verdict_data::Result<Asked> {
    let name = rest.split('?').next().unwrap_or_default();
    let wrong = |expected, found: &str| verdict_data::Error::SourceArgument {
        text: text.to_owned(),
        expected,
        found: format!("{found:?}"),
    };
    let (place, revision) = name.rsplit_once('@').unwrap_or((name, MAIN));
    let parts: Vec<&str> = place.split('/').collect();
    let plain = |part: &&str| !part.is_empty() && !part.starts_with('.') && !part.contains('\\');
    if parts.len() < 2 || !parts.iter().all(plain) || revision.is_empty() {
        return Err(wrong(KIND, name));
    }
    let (repo, path) = (parts[..2].join("/"), parts[2..].join("/"));
    let known = CONFIGS
        .iter()
        .find(|(config, _)| parts.get(2) == Some(config));
    let source = match (repo == PUBMEDQA, known) {
        (true, Some((_, make))) => make(PathBuf::new()),
        (true, None) => {
            let expected =
                "one of pqa_labeled, pqa_artificial, pqa_unlabeled behind hub:qiaojin/PubMedQA/";
            return Err(wrong(expected, &path));
        }
        (false, _) => Source::Jsonl(PathBuf::new()),
    };
    Ok(Asked {
        name: name.to_owned(),
        repo,
        path,
        revision: revision.to_owned(),
        input: Input::from(source).with_options(text)?,
    })
}

impl Asked {
    /// What of the repository is read.
    fn readable(&self) -> Vec<Readable> {
        let known = CONFIGS.iter().map(|(_, make)| *make);
        let same = |make: &Make| make(PathBuf::new()) == self.input.source;
        match known.into_iter().find(same) {
            Some(make) => vec![(&["parquet", "json"], make)],
            None => OWN.to_vec(),
        }
    }

    /// The files to take, all of one kind: the one that is named, or those that stand in the folder.
    fn choose(&self, names: &BTreeSet<String>) -> Result<Vec<String>> {
        let missing = |expected: String, found: BTreeSet<String>| Error::NoDataInRepo {
            repo: self.repo.clone(),
            expected,
            found: match found.is_empty() {
                true => "no files".into(),
                false => found.into_iter().take(12).collect::<Vec<_>>().join(", "),
            },
        };
        let within = match self.path.as_str() {
            "" => String::new(),
            path => format!("{path}/"),
        };
        let here = |name: &&String| match name.strip_prefix(&within) {
            Some(rest) => !rest.contains('/'),
            None => **name == self.path,
        };
        let there: BTreeSet<String> = names.iter().filter(here).cloned().collect();
        if there.is_empty() && !within.is_empty() {
            let top = |name: &String| match name.split_once('/') {
                Some((folder, _)) => format!("{folder}/"),
                None => name.clone(),
            };
            let expected = format!("a folder or file {:?}", self.path);
            return Err(missing(expected, names.iter().map(top).collect()));
        }
        let readable = self.readable();
        let of = |(endings, _): &Readable| -> Vec<String> {
            let fits = |name: &&String| endings.iter().any(|ending| ends(name, ending));
            there.iter().filter(fits).cloned().collect()
        };
        let kinds: Vec<Vec<String>> = readable.iter().map(of).collect();
        let mut kinds: Vec<Vec<String>> = kinds.into_iter().filter(|k| !k.is_empty()).collect();
        let endings = readable.iter().flat_map(|(endings, _)| endings.iter());
        let endings: Vec<String> = endings.map(|ending| format!("*.{ending}")).collect();
        match kinds.len() {
            0 => Err(missing(
                format!("files that can be read ({})", endings.join(", ")),
                there,
            )),
            1 => Ok(kinds.remove(0)),
            _ => {
                let found = kinds.into_iter().flatten().collect();
                Err(missing(
                    "files of one kind, or the name of one".into(),
                    found,
                ))
            }
        }
    }

    /// The source that reads what was fetched.
    fn read(mut self, cache: &Cache, manifest: &Manifest) -> Input {
        let first = manifest.files.first().map_or("", |file| &file.name);
        let fits = |(endings, _): &Readable| endings.iter().any(|ending| ends(first, ending));
        let make = self.readable().into_iter().find(fits);
        // Nothing else was chosen, and what the cache holds was checked.
        let (_, make) = make.unwrap_or(OWN[0]);
        self.input.source = make(cache.folder(&self.name).join(&self.path));
        let of = &manifest.source;
        self.input.hub = Some(of.strip_prefix("hub:").unwrap_or(of).to_owned());
        self.input
    }
}

fn ends(name: &str, ending: &str) -> bool {
    let found = name.rsplit_once('.').map(|(_, found)| found);
    found.is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

/// Cache and hub.
struct Datasets {
    cache: Cache,
    hub: Hub,
}

impl Datasets {
    fn input(&self, asked: Asked, progress: &dyn Fn(Progress<'_>)) -> Result<Input> {
        let manifest = match self.cache.get(&asked.name)? {
            Some(manifest) => manifest,
            None => self.fetch(&asked, progress)?,
        };
        Ok(asked.read(&self.cache, &manifest))
    }

    fn fetch(&self, asked: &Asked, progress: &dyn Fn(Progress<'_>)) -> Result<Manifest> {
        let partial = self.cache.partial(&asked.name)?;
        let of = asked.clone();
        let wanted = Wanted {
            kind: RepoType::Dataset,
            repo: asked.repo.clone(),
            revision: asked.revision.clone(),
            choose: Box::new(move |names| of.choose(names)),
        };
        let snapshot = self.hub.fetch(wanted, &partial, progress)?;
        let source = format!("hub:{}@{}", asked.repo, snapshot.commit);
        self.cache.install(&asked.name, source, snapshot.files)
    }
}
