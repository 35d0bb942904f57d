//! The sources of literature: `kind:PATH`, and behind a question mark how the file is to be read.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use verdict_data::split_options;

use crate::{Error, Result};

/// A source of documents: a file or a folder of files. Reads from and writes as `kind:PATH?name=value&name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiteratureSource {
    /// How its files are laid out.
    pub kind: SourceKind,
    /// The file, or the folder of files.
    pub path: PathBuf,
    /// Whether documents of PubMedQA have a title, which is the question made from it. `title=no` leaves it out: where
    /// PubMedQA's own questions are searched for, they must not find themselves.
    pub titles: bool,
    /// What the columns of own documents are called.
    pub columns: DocumentColumns,
}

/// How the files of a source are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// PubMed's baseline and update files (`pubmed25n0001.xml.gz`), or what its search interface exports as XML.
    Pubmed,
    /// The abstracts of PubMedQA's expert-labelled part.
    PubmedqaLabeled,
    /// The abstracts of PubMedQA's artificial part.
    PubmedqaArtificial,
    /// The abstracts of PubMedQA's unlabelled part.
    PubmedqaUnlabeled,
    /// The snippets of BioASQ's questions of all types, by the abstract that they were taken from.
    Bioasq,
    /// JSON lines.
    Jsonl,
    /// A table with a header: commas, or tabs where the name ends in `.tsv`.
    Csv,
    /// The same columns as Parquet.
    Parquet,
}

impl SourceKind {
    /// Every kind.
    pub const ALL: [SourceKind; 8] = [
        SourceKind::Pubmed,
        SourceKind::PubmedqaLabeled,
        SourceKind::PubmedqaArtificial,
        SourceKind::PubmedqaUnlabeled,
        SourceKind::Bioasq,
        SourceKind::Jsonl,
        SourceKind::Csv,
        SourceKind::Parquet,
    ];

    /// The name, which is also that in each document's `source`.
    pub fn name(self) -> &'static str {
        match self {
            SourceKind::Pubmed => "pubmed",
            SourceKind::PubmedqaLabeled => "pubmedqa-labeled",
            SourceKind::PubmedqaArtificial => "pubmedqa-artificial",
            SourceKind::PubmedqaUnlabeled => "pubmedqa-unlabeled",
            SourceKind::Bioasq => "bioasq",
            SourceKind::Jsonl => "jsonl",
            SourceKind::Csv => "csv",
            SourceKind::Parquet => "parquet",
        }
    }

    fn is_pubmedqa(self) -> bool {
        self.name().starts_with("pubmedqa-")
    }

    fn has_columns(self) -> bool {
        matches!(
            self,
            SourceKind::Jsonl | SourceKind::Csv | SourceKind::Parquet
        )
    }

    fn of(name: &str) -> Option<SourceKind> {
        SourceKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What the columns of own documents (`jsonl`, `csv`, `parquet`) are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentColumns {
    /// The id, unique among all documents of an index.
    pub id: String,
    /// The title; may be missing.
    pub title: String,
    /// The text.
    pub text: String,
    /// The year of publication; may be missing.
    pub year: String,
    /// The journal; may be missing.
    pub journal: String,
    /// MeSH headings; may be missing.
    pub mesh: String,
    /// Publication types; may be missing.
    pub types: String,
}

const COLUMNS: [&str; 7] = ["id", "title", "text", "year", "journal", "mesh", "types"];

impl Default for DocumentColumns {
    fn default() -> DocumentColumns {
        let [id, title, text, year, journal, mesh, types] = COLUMNS.map(str::to_owned);
        DocumentColumns {
            id,
            title,
            text,
            year,
            journal,
            mesh,
            types,
        }
    }
}

impl DocumentColumns {
    /// Every column's name, in the order of [`COLUMNS`].
    pub(crate) fn names(&self) -> [&str; 7] {
        [
            &self.id,
            &self.title,
            &self.text,
            &self.year,
            &self.journal,
            &self.mesh,
            &self.types,
        ]
    }

    /// A column by the name of its option.
    fn named(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "id" => &mut self.id,
            "title" => &mut self.title,
            "text" => &mut self.text,
            "year" => &mut self.year,
            "journal" => &mut self.journal,
            "mesh" => &mut self.mesh,
            "types" => &mut self.types,
            _ => return None,
        })
    }
}

impl LiteratureSource {
    /// A source without options.
    pub fn new(kind: SourceKind, path: impl Into<PathBuf>) -> LiteratureSource {
        LiteratureSource {
            kind,
            path: path.into(),
            titles: true,
            columns: DocumentColumns::default(),
        }
    }

    fn set(&mut self, text: &str, option: &str) -> Result<()> {
        let wrong = |expected: String| Error::SourceOption {
            text: text.to_owned(),
            expected,
            found: option.to_owned(),
        };
        let Some((name, value)) = option.split_once('=') else {
            return Err(wrong(format!("name=value, with {}", self.known_options())));
        };
        if self.kind.is_pubmedqa() && name == "title" {
            self.titles = match value {
                "yes" => true,
                "no" => false,
                _ => return Err(wrong("title=yes or title=no".into())),
            };
            return Ok(());
        }
        let known = self.kind.has_columns();
        match self.columns.named(name).filter(|_| known) {
            Some(_) if value.trim().is_empty() => {
                Err(wrong(format!("the name of a column behind {name}=")))
            }
            Some(column) => {
                value.clone_into(column);
                Ok(())
            }
            None => Err(wrong(self.known_options())),
        }
    }

    /// The options of the kind, for messages.
    fn known_options(&self) -> String {
        match self.kind {
            kind if kind.is_pubmedqa() => "title=yes or title=no".into(),
            kind if kind.has_columns() => {
                format!(
                    "a name of {} (each the name of a column)",
                    COLUMNS.join(", ")
                )
            }
            kind => format!("no options for {}", kind.name()),
        }
    }
}

/// A source's text and its options; see [`split_options`].
fn parts(text: &str) -> (&str, Option<&str>) {
    split_options(
        text,
        |kind| SourceKind::of(kind).is_some(),
        |name| COLUMNS.contains(&name),
    )
}

impl FromStr for LiteratureSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<LiteratureSource> {
        let (source, options) = parts(text);
        let (name, path) = match source.split_once(':') {
            Some((name, path)) => (name, Some(path)),
            None => (source, None),
        };
        let Some(kind) = SourceKind::of(name) else {
            return Err(unknown(text, name));
        };
        let Some(path) = path.filter(|path| !path.trim().is_empty()) else {
            return Err(Error::SourceArgument {
                text: text.to_owned(),
                expected: format!("{name}:PATH"),
                found: path.map_or("nothing after the kind".to_owned(), |path| {
                    format!("{path:?}")
                }),
            });
        };
        let mut source = LiteratureSource::new(kind, path);
        for option in options.into_iter().flat_map(|options| options.split('&')) {
            source.set(text, option)?;
        }
        Ok(source)
    }
}

/// A kind that does not exist, with the one that was probably meant. A path without a kind is told apart by its name.
fn unknown(text: &str, name: &str) -> Error {
    let ending = |of: &[&str]| of.iter().any(|ending| name.ends_with(ending));
    let meant = match name {
        _ if ending(&[".xml", ".xml.gz"]) => Some(format!("pubmed:{text}")),
        _ if ending(&[".jsonl"]) => Some(format!("jsonl:{text}")),
        _ if ending(&[".csv", ".tsv"]) => Some(format!("csv:{text}")),
        _ if ending(&[".parquet"]) => Some(format!("parquet:{text}")),
        _ => {
            let kinds = SourceKind::ALL.into_iter().map(SourceKind::name);
            verdict_common::settings_file::nearest(&name.to_lowercase().replace('_', "-"), kinds)
                .map(str::to_owned)
        }
    };
    Error::UnknownSource {
        text: text.to_owned(),
        kind: name.to_owned(),
        meant,
    }
}

impl fmt::Display for LiteratureSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = Vec::new();
        if !self.titles {
            options.push("title=no".to_owned());
        }
        let usual = COLUMNS.into_iter();
        for (usual, own) in usual.zip(self.columns.names()) {
            if own != usual {
                options.push(format!("{usual}={own}"));
            }
        }
        let source = format!("{}:{}", self.kind.name(), self.path.display());
        if options.is_empty() && parts(&source).1.is_some() && self.kind.has_columns() {
            // The end of the file's name would be read as an option.
            options.push("id=id".into());
        }
        let mark = if options.is_empty() { "" } else { "?" };
        write!(f, "{source}{mark}{}", options.join("&"))
    }
}

impl LiteratureSource {
    /// The path, for readers.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::{LiteratureSource, SourceKind};

    #[test]
    fn every_source_reads_what_it_writes() {
        for text in [
            "pubmed:baseline",
            "pubmed:C:/pubmed25n0001.xml.gz",
            "pubmedqa-labeled:ori_pqal.json",
            "pubmedqa-artificial:a.parquet?title=no",
            "pubmedqa-unlabeled:ori_pqau.json",
            "bioasq:golden",
            "jsonl:What is flu A?.jsonl",
            "csv:a.tsv?id=pmid&title=Title&text=Abstract&year=y&journal=j&mesh=m&types=t",
            "parquet:a?B=c d.parquet",
        ] {
            let source: LiteratureSource = text.parse().expect("good");
            assert_eq!(source.to_string(), text);
        }
        for kind in SourceKind::ALL {
            assert!(crate::KINDS.contains(&format!("{}:PATH", kind.name())));
        }
        let source: LiteratureSource = "pubmedqa-labeled:a?title=yes".parse().expect("good");
        assert!(source.titles);
    }

    #[test]
    fn faults_name_the_source_and_what_it_may_be() {
        let error = |text: &str| {
            let error = text.parse::<LiteratureSource>().expect_err("refused");
            error.to_string()
        };
        let known = "expected one of pubmed:PATH, pubmedqa-labeled:PATH, pubmedqa-artificial:PATH, \
                     pubmedqa-unlabeled:PATH, bioasq:PATH, jsonl:PATH, csv:PATH, parquet:PATH";
        for (text, expected) in [
            (
                "pumbed:a",
                format!("source \"pumbed:a\": no such kind \"pumbed\", did you mean pubmed? {known}"),
            ),
            (
                "pubmedqa_labeled:a",
                format!("source \"pubmedqa_labeled:a\": no such kind \"pubmedqa_labeled\", did you mean pubmedqa-labeled? {known}"),
            ),
            (
                "pubmed25n0001.xml.gz",
                format!("source \"pubmed25n0001.xml.gz\": no such kind \"pubmed25n0001.xml.gz\", did you mean pubmed:pubmed25n0001.xml.gz? {known}"),
            ),
            (
                "stats:30",
                format!("source \"stats:30\": no such kind \"stats\", {known}"),
            ),
            (
                "pubmed",
                "source \"pubmed\": expected pubmed:PATH, found nothing after the kind".into(),
            ),
            (
                "bioasq: ",
                "source \"bioasq: \": expected bioasq:PATH, found \" \"".into(),
            ),
            (
                "pubmed:a?title=no",
                "source \"pubmed:a?title=no\": expected no options for pubmed, found \"title=no\"".into(),
            ),
            (
                "pubmedqa-labeled:a?title=maybe",
                "source \"pubmedqa-labeled:a?title=maybe\": expected title=yes or title=no, found \"title=maybe\"".into(),
            ),
            (
                "pubmedqa-labeled:a?text=b",
                "source \"pubmedqa-labeled:a?text=b\": expected title=yes or title=no, found \"text=b\"".into(),
            ),
            (
                "csv:a.csv?tilte=T",
                "source \"csv:a.csv?tilte=T\": expected a name of id, title, text, year, journal, mesh, types (each the \
                 name of a column), found \"tilte=T\"".into(),
            ),
            (
                "csv:a.csv?id=",
                "source \"csv:a.csv?id=\": expected the name of a column behind id=, found \"id=\"".into(),
            ),
            (
                "jsonl:a.jsonl?id=b&title",
                "source \"jsonl:a.jsonl?id=b&title\": expected name=value, with a name of id, title, text, year, journal, \
                 mesh, types (each the name of a column), found \"title\"".into(),
            ),
        ] {
            assert_eq!(error(text), expected);
        }
    }
}
