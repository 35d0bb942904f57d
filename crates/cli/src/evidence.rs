//! Evidence for questions: the flags of a search in an index, and the passages that it finds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;
use verdict_answer::{FittedPool, fit_prompt};
use verdict_evidence::{
    Evidence, Filters, Hit, Index, QuestionSource, RetrievalSettings, SearchQuery,
    retrieve::LEAST_COVERAGE, retrieve::retrieve,
};
use verdict_train::RunFolder;

use crate::failure::{Failure, Result};
use crate::filters::FilterFlags;

/// Where and how evidence is looked up.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Evidence")]
pub struct EvidenceFlags {
    /// Answer from publications in this index
    ///
    /// A folder that `verdict index` wrote. The publications that match the question best are each read by the model,
    /// and what they say is combined. A citation is always the id of such a publication, never generated.
    #[arg(long, value_name = "INDEX")]
    pub evidence: Option<PathBuf>,
    /// Read this many publications per question [default: 5]
    #[arg(long, value_name = "N", requires = "evidence")]
    pub top: Option<usize>,
    /// Only search publications up to this year
    ///
    /// Makes answers reproducible although the index grows.
    #[arg(
        long,
        value_name = "YEAR",
        requires = "evidence",
        conflicts_with = "years"
    )]
    pub as_of: Option<u16>,
    /// Take a publication for relevant from this coverage on [default: 0.35]
    ///
    /// Coverage is the share of the question's terms that the publication contains, weighted by their rarity, from 0 to
    /// 1. Without a relevant publication the answer is Uncertain.
    #[arg(long, value_name = "SHARE", requires = "evidence")]
    pub min_coverage: Option<f64>,
    #[command(flatten)]
    pub filters: FilterFlags,
}

impl EvidenceFlags {
    /// What is wrong with them.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.top == Some(0) {
            faults.push("--top: expected at least 1, found 0".to_owned());
        }
        if let Some(found) = self.min_coverage.filter(|of| !(0.0..=1.0).contains(of)) {
            faults.push(format!(
                "--min-coverage: expected a share from 0 to 1, found {found}"
            ));
        }
        faults
    }

    /// Opens the index, where one is given.
    pub fn open(&self) -> Result<Option<Literature>> {
        let Some(path) = &self.evidence else {
            return Ok(None);
        };
        let faults = self.faults();
        if !faults.is_empty() {
            return Err(Failure::faults(faults));
        }
        let mut filters = self.filters.filters();
        if let Some(year) = self.as_of {
            filters.years = Some(0..=year);
        }
        Ok(Some(Literature {
            index: Index::open(path)?,
            settings: RetrievalSettings {
                top: self.top.unwrap_or(RetrievalSettings::default().top),
                filters,
                least_coverage: self.min_coverage.unwrap_or(LEAST_COVERAGE),
            },
        }))
    }
}

/// An open index, and how it is searched.
pub struct Literature {
    /// The index.
    pub index: Index,
    /// How passages are searched for.
    pub settings: RetrievalSettings,
}

impl Literature {
    /// The documents that match a question best, retracted ones among them.
    pub fn search(&self, question: &str, top: usize) -> Result<Vec<Hit>> {
        Ok(self.index.search(&SearchQuery {
            text: question,
            top,
            filters: Filters {
                retracted: true,
                ..self.settings.filters.clone()
            },
        })?)
    }

    /// The relevant publications for a question; passages fit a prompt of `limit` tokens beside it.
    pub fn find(
        &self,
        question: &str,
        source: Option<QuestionSource<'_>>,
        tokenizer: &Tokenizer,
        limit: usize,
    ) -> Result<Vec<Evidence>> {
        let fits = |text: &str| {
            fit_prompt(tokenizer, question, Some(text), limit).is_ok_and(|prompt| prompt.cut == 0)
        };
        Ok(retrieve(
            &self.index,
            question,
            &self.settings,
            source,
            fits,
        )?)
    }
}

/// Name of the file of a run with the fitted pools.
const FILE: &str = "evidence.json";

/// The pools of a run's models: the content of `evidence.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunPools {
    /// SHA-256 of the manifest of the index that they were fitted with.
    pub index: String,
    /// Publications read per question.
    pub top: usize,
    /// The pool of each model, by its name.
    pub pools: BTreeMap<String, FittedPool>,
}

impl RunPools {
    /// The pools of a run; `None` where none were fitted.
    pub fn read(run: &RunFolder) -> Result<Option<RunPools>> {
        let path = run.dir().join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| Failure::input(format!("{}: {error}", path.display())))?,
        };
        let pools = serde_json::from_str(&text)
            .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
        Ok(Some(pools))
    }

    /// Writes them into a run.
    pub fn write(&self, run: &RunFolder) -> Result {
        let path = run.dir().join(FILE);
        let text = serde_json::to_string_pretty(self).map_err(Failure::failed)?;
        std::fs::write(&path, text + "\n")
            .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
    }
}
