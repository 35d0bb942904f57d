//! The sources that a build takes.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::{Error, Result};

/// One source of rows: a file, a folder of files, or rows that are made. Reads from and writes as
/// `kind:argument`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// PubMedQA's expert-labelled part (PQA-L, `ori_pqal.json`, or Parquet as on the hub): yes, no and
    /// maybe.
    PubmedqaLabeled(PathBuf),
    /// PubMedQA's artificial part (PQA-A, `ori_pqaa.json`): yes and no, same layout.
    PubmedqaArtificial(PathBuf),
    /// PubMedQA's unlabelled part (PQA-U, `ori_pqau.json`): same layout, no answers. Its rows are set
    /// apart.
    PubmedqaUnlabeled(PathBuf),
    /// BioASQ Task B, golden or training files; only their yes/no questions are taken.
    Bioasq(PathBuf),
    /// JSON lines with `question`, `label`, `rationale` and, where wanted, `context`, `id`, `group`, `split`.
    Jsonl(PathBuf),
    /// The same as a table with a header: commas, or tabs where the name ends in `.tsv`.
    Csv(PathBuf),
    /// The same columns as Parquet.
    Parquet(PathBuf),
    /// Generated questions on reading study results; the number of rows to generate.
    Stats(usize),
    /// The built-in clinical questions.
    Clinical,
}

impl Source {
    /// Whether rows of this kind are made by a rule, not read or written.
    pub(crate) fn generates(kind: &str) -> bool {
        kind == Source::Stats(0).kind()
    }

    /// Whether rows of this kind say their label.
    pub(crate) fn labels(kind: &str) -> bool {
        kind != Source::PubmedqaUnlabeled(PathBuf::new()).kind()
    }

    /// The kind, which is also the name in each item's `source`.
    pub fn kind(&self) -> &'static str {
        match self {
            Source::PubmedqaLabeled(_) => "pubmedqa-labeled",
            Source::PubmedqaArtificial(_) => "pubmedqa-artificial",
            Source::PubmedqaUnlabeled(_) => "pubmedqa-unlabeled",
            Source::Bioasq(_) => "bioasq",
            Source::Jsonl(_) => "jsonl",
            Source::Csv(_) => "csv",
            Source::Parquet(_) => "parquet",
            Source::Stats(_) => "stats",
            Source::Clinical => "clinical",
        }
    }
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Source> {
        let (kind, argument) = match text.split_once(':') {
            Some((kind, argument)) => (kind, Some(argument)),
            None => (text, None),
        };
        let wrong = |expected, found: Option<&str>| Error::SourceArgument {
            text: text.to_owned(),
            expected,
            found: found.map_or("nothing after the kind".to_owned(), |part| {
                format!("{part:?}")
            }),
        };
        let path = |expected| match argument {
            Some(path) if !path.trim().is_empty() => Ok(PathBuf::from(path)),
            other => Err(wrong(expected, other)),
        };
        match kind {
            "pubmedqa-labeled" => Ok(Source::PubmedqaLabeled(path("pubmedqa-labeled:PATH")?)),
            "pubmedqa-artificial" => Ok(Source::PubmedqaArtificial(path(
                "pubmedqa-artificial:PATH",
            )?)),
            "pubmedqa-unlabeled" => Ok(Source::PubmedqaUnlabeled(path("pubmedqa-unlabeled:PATH")?)),
            "bioasq" => Ok(Source::Bioasq(path("bioasq:PATH")?)),
            "jsonl" => Ok(Source::Jsonl(path("jsonl:PATH")?)),
            "csv" => Ok(Source::Csv(path("csv:PATH")?)),
            "parquet" => Ok(Source::Parquet(path("parquet:PATH")?)),
            "stats" => match argument.map(|rows| rows.parse::<usize>()) {
                Some(Ok(rows)) if rows > 0 => Ok(Source::Stats(rows)),
                _ => Err(wrong("stats:ROWS with a whole number above zero", argument)),
            },
            "clinical" => match argument {
                None => Ok(Source::Clinical),
                some => Err(wrong("clinical alone", some)),
            },
            _ => Err(Error::UnknownSource {
                text: text.to_owned(),
                kind: kind.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::PubmedqaLabeled(path)
            | Source::PubmedqaArtificial(path)
            | Source::PubmedqaUnlabeled(path)
            | Source::Bioasq(path)
            | Source::Jsonl(path)
            | Source::Csv(path)
            | Source::Parquet(path) => write!(f, "{}:{}", self.kind(), path.display()),
            Source::Stats(rows) => write!(f, "stats:{rows}"),
            Source::Clinical => f.write_str("clinical"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn every_kind_reads_what_it_writes() {
        for text in [
            "pubmedqa-labeled:data/ori_pqal.json",
            "pubmedqa-artificial:C:/data/ori_pqaa.json",
            "pubmedqa-unlabeled:ori_pqau.json",
            "bioasq:golden",
            "csv:rows.tsv",
            "parquet:rows.parquet",
            "jsonl:rows.jsonl",
            "stats:3000",
            "clinical",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn errors_name_the_source_and_how_it_is_written() {
        let text = |source: &str| source.parse::<Source>().unwrap_err().to_string();
        assert_eq!(
            text("pubmed:x"),
            "source \"pubmed:x\": no such kind \"pubmed\", expected one of \
             pubmedqa-labeled:PATH, pubmedqa-artificial:PATH, pubmedqa-unlabeled:PATH, bioasq:PATH, \
             jsonl:PATH, csv:PATH, parquet:PATH, stats:ROWS, clinical"
        );
        assert_eq!(
            text("bioasq"),
            "source \"bioasq\": expected bioasq:PATH, found nothing after the kind"
        );
        assert_eq!(
            text("jsonl: "),
            "source \"jsonl: \": expected jsonl:PATH, found \" \""
        );
        assert_eq!(
            text("stats:many"),
            "source \"stats:many\": expected stats:ROWS with a whole number above zero, found \"many\""
        );
        assert_eq!(
            text("clinical:all"),
            "source \"clinical:all\": expected clinical alone, found \"all\""
        );
    }
}
