//! Sources of a build as they are given: local ones, and `hub:org/name/folder`, whose files are downloaded into the cache
//! once and then read like local ones.
//!
//! PubMedQA's repository is known by its name. From other repositories, JSON Lines and tables are read.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use verdict_data::{Input, Source};

use crate::hub::{
    Cache, Error, Hub, MAIN, Manifest, Progress, RepoType, Request, Result, cache_folder,
};

/// The form of a hub source, for messages.
const KIND: &str = "hub:ORG/NAME/PATH";

/// PubMedQA's repository.
const PUBMEDQA: &str = "qiaojin/PubMedQA";

/// Makes a source from a path.
type Make = fn(PathBuf) -> Source;

/// PubMedQA's folders.
const CONFIGS: [(&str, Make); 3] = [
    ("pqa_labeled", Source::PubmedqaLabeled),
    ("pqa_artificial", Source::PubmedqaArtificial),
    ("pqa_unlabeled", Source::PubmedqaUnlabeled),
];

/// A kind of files: their extensions, and the source that reads them.
type FileKind = (&'static [&'static str], Make);

/// The kinds that are read from any repository.
const TABLES: &[FileKind] = &[
    (&["jsonl"], Source::Jsonl),
    (&["csv", "tsv"], Source::Csv),
    (&["parquet"], Source::Parquet),
];

/// A source as it is given.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceSpec {
    /// On this machine.
    Local(Input),
    /// On a hub, or in the cache.
    Hub(HubSource),
}

/// Files of a data set repository, and the options for their rows.
#[derive(Clone, Debug, PartialEq)]
pub struct HubSource {
    /// Repository, path and revision, as they were given.
    name: String,
    /// `org/name`.
    repo: String,
    /// A folder or a file in it; empty for the root.
    path: String,
    /// Branch, tag or commit.
    revision: String,
    /// The options, and the source for a folder of PubMedQA. For other repositories the source is set after the download.
    input: Input,
}

/// The text of a fault; if it lists the kinds of sources, hub sources are added.
pub fn describe(fault: &verdict_data::Error) -> String {
    use verdict_data::Error::{NoSources, UnknownSource};
    match fault {
        NoSources | UnknownSource { .. } => format!("{fault}, {KIND}"),
        _ => fault.to_string(),
    }
}

impl FromStr for SourceSpec {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<SourceSpec, String> {
        let written = match text.strip_prefix("hub:") {
            Some(rest) => hub_source(text, rest).map(SourceSpec::Hub),
            None => text.parse().map(SourceSpec::Local),
        };
        written.map_err(|fault| describe(&fault))
    }
}

impl SourceSpec {
    /// The source, with its files on this machine.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn resolve(self, progress: &dyn Fn(Progress<'_>)) -> Result<Input> {
        match self {
            SourceSpec::Local(input) => Ok(input),
            SourceSpec::Hub(source) => {
                let datasets = Datasets {
                    cache: Cache::datasets(&cache_folder()?),
                    hub: Hub::from_env(),
                };
                datasets.input(source, progress)
            }
        }
    }
}

/// Reads what follows `hub:`.
fn hub_source(text: &str, rest: &str) -> verdict_data::Result<HubSource> {
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
                "one of pqa_labeled, pqa_artificial, pqa_unlabeled after hub:qiaojin/PubMedQA/";
            return Err(wrong(expected, &path));
        }
        (false, _) => Source::Jsonl(PathBuf::new()),
    };
    Ok(HubSource {
        name: name.to_owned(),
        repo,
        path,
        revision: revision.to_owned(),
        input: Input::from(source).with_options(text)?,
    })
}

impl HubSource {
    /// The kinds of files that are read from the repository.
    fn kinds(&self) -> Vec<FileKind> {
        let known = CONFIGS.iter().map(|(_, make)| *make);
        let same = |make: &Make| make(PathBuf::new()) == self.input.source;
        match known.into_iter().find(same) {
            Some(make) => vec![(&["parquet", "json"], make)],
            None => TABLES.to_vec(),
        }
    }

    /// The files to download, all of one kind: the one that is named, or those in the folder.
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
        let readable = self.kinds();
        let of = |(endings, _): &FileKind| -> Vec<String> {
            let fits = |name: &&String| endings.iter().any(|ending| ends(name, ending));
            there.iter().filter(fits).cloned().collect()
        };
        let kinds: Vec<Vec<String>> = readable.iter().map(of).collect();
        let mut kinds: Vec<Vec<String>> = kinds.into_iter().filter(|k| !k.is_empty()).collect();
        let endings = readable.iter().flat_map(|(endings, _)| endings.iter());
        let endings: Vec<String> = endings.map(|ending| format!("*.{ending}")).collect();
        match kinds.len() {
            0 => Err(missing(
                format!("readable files ({})", endings.join(", ")),
                there,
            )),
            1 => Ok(kinds.remove(0)),
            _ => {
                let found = kinds.into_iter().flatten().collect();
                Err(missing(
                    "files of one kind, or the name of one file".into(),
                    found,
                ))
            }
        }
    }

    /// The source that reads the downloaded files.
    fn read(mut self, cache: &Cache, manifest: &Manifest) -> Input {
        let first = manifest.files.first().map_or("", |file| &file.name);
        let fits = |(endings, _): &FileKind| endings.iter().any(|ending| ends(first, ending));
        let make = self.kinds().into_iter().find(fits);
        // Only readable files were chosen, and the cache was checked.
        let (_, make) = make.unwrap_or(TABLES[0]);
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

/// The cache and the hub.
struct Datasets {
    cache: Cache,
    hub: Hub,
}

impl Datasets {
    fn input(&self, source: HubSource, progress: &dyn Fn(Progress<'_>)) -> Result<Input> {
        let manifest = match self.cache.get(&source.name)? {
            Some(manifest) => manifest,
            None => self.fetch(&source, progress)?,
        };
        Ok(source.read(&self.cache, &manifest))
    }

    fn fetch(&self, source: &HubSource, progress: &dyn Fn(Progress<'_>)) -> Result<Manifest> {
        let partial = self.cache.partial(&source.name)?;
        let of = source.clone();
        let request = Request {
            kind: RepoType::Dataset,
            repo: source.repo.clone(),
            revision: source.revision.clone(),
            choose: Box::new(move |names| of.choose(names)),
        };
        let snapshot = self.hub.fetch(request, &partial, progress)?;
        let origin = format!("hub:{}@{}", source.repo, snapshot.commit);
        self.cache.install(&source.name, origin, snapshot.files)
    }
}
