//! Evidence for questions: the flags of a search in an index, and the passages that it finds.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use verdict_answer::{
    AnswerSettings, Answerer, FittedPool, InferenceEngine, Passage, PassageQuestion, relevance,
};
use verdict_data::new_file_in;
use verdict_evidence::{
    Evidence, Filters, Hit, Index, QuestionSource, RetrievalSettings, SearchQuery,
    retrieve::LEAST_MATCH, retrieve::retrieve,
};
use verdict_train::RunFolder;

use crate::failure::{Failure, Result};
use crate::filters::FilterFlags;
use crate::printer::Printer;

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
    /// Rerank this many candidates with the base model
    ///
    /// A second stage behind the search: the base model is asked of each candidate whether it answers the question, and
    /// the --top publications with the highest probability are read.
    #[arg(long, value_name = "N", requires = "evidence")]
    pub rerank: Option<usize>,
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
    /// Only read publications that match this well [default: 0.35]
    ///
    /// The match is the share of the question's terms that a publication contains, weighted by their rarity, from 0 to 1.
    /// Without a relevant publication the answer is Uncertain.
    #[arg(long, value_name = "SHARE", requires = "evidence")]
    pub min_match: Option<f64>,
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
        let top = self.top.unwrap_or(RetrievalSettings::default().top);
        if let Some(found) = self.rerank.filter(|of| *of < top) {
            faults.push(format!(
                "--rerank: expected at least --top, {top}, found {found}"
            ));
        }
        if let Some(found) = self.min_match.filter(|of| !(0.0..=1.0).contains(of)) {
            faults.push(format!(
                "--min-match: expected a share from 0 to 1, found {found}"
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
        let top = self.top.unwrap_or(RetrievalSettings::default().top);
        Ok(Some(Literature {
            index: Index::open(path)?,
            top,
            reranks: self.rerank.is_some(),
            settings: RetrievalSettings {
                top: self.rerank.unwrap_or(top),
                filters,
                least_match: self.min_match.unwrap_or(LEAST_MATCH),
            },
        }))
    }
}

/// An open index, and how it is searched.
pub struct Literature {
    /// The index.
    pub index: Index,
    /// Publications read per question.
    pub top: usize,
    /// Whether the base model orders what the search finds.
    reranks: bool,
    /// How passages are searched for.
    settings: RetrievalSettings,
}

/// A question whose publications are searched for.
pub struct SearchedQuestion<'q> {
    /// The question.
    pub text: &'q str,
    /// What may be shown of the publications that it was made from, where it is a benchmark's.
    pub source: Option<QuestionSource<'q>>,
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

    /// The relevant publications for each question, the best first, --top of them and any retracted ones among those;
    /// passages fit the prompts.
    pub fn find(
        &self,
        questions: &[SearchedQuestion<'_>],
        answerer: &Answerer<'_>,
        engine: &mut dyn InferenceEngine,
        settings: &AnswerSettings,
        printer: &Printer,
    ) -> Result<Vec<Vec<Evidence>>> {
        let progress = (questions.len() > 1)
            .then(|| printer.progress("search", "question", questions.len() as u64));
        let limits = answerer.limits(engine, settings)?;
        let mut found = Vec::new();
        for question in questions {
            let fits = |text: &str| {
                let prompt = answerer.encode(question.text, Some(text), limits);
                prompt.is_ok_and(|prompt| prompt.cut == 0)
            };
            found.push(retrieve(
                &self.index,
                question.text,
                &self.settings,
                question.source,
                fits,
            )?);
            if let Some(progress) = &progress {
                progress.set(found.len() as u64, "");
            }
        }
        drop(progress);
        if self.reranks {
            let texts: Vec<&str> = questions.iter().map(|question| question.text).collect();
            self.rerank(&texts, &mut found, answerer, engine, settings, printer)?;
        }
        Ok(found)
    }

    /// Orders what was found for each question by the base model, and keeps --top.
    fn rerank(
        &self,
        texts: &[&str],
        found: &mut [Vec<Evidence>],
        answerer: &Answerer<'_>,
        engine: &mut dyn InferenceEngine,
        settings: &AnswerSettings,
        printer: &Printer,
    ) -> Result {
        let passages: Vec<Vec<Passage<'_>>> = found.iter().map(|of| passages(of)).collect();
        let questions: Vec<PassageQuestion<'_>> = texts
            .iter()
            .zip(&passages)
            .map(|(text, passages)| PassageQuestion {
                text,
                adapter: None,
                passages,
            })
            .collect();
        let total: usize = passages.iter().map(Vec::len).sum();
        let progress = printer.progress("rerank", "passage", total as u64);
        let done = &mut |count: usize| progress.set(count as u64, "");
        let all = relevance(answerer, engine, &questions, settings, done)?;
        for (found, relevance) in found.iter_mut().zip(all) {
            for (one, relevance) in found.iter_mut().zip(relevance) {
                one.relevance = relevance;
            }
            // A stable sort: in a tie the search decides.
            found.sort_by(|a, b| b.relevance.total_cmp(&a.relevance));
            let mut counted = 0;
            found.retain(|one| {
                let kept = counted < self.top;
                counted += usize::from(!one.document.is_retracted());
                kept
            });
        }
        Ok(())
    }
}

/// What was found, without retracted publications.
pub fn readable(mut found: Vec<Evidence>) -> Vec<Evidence> {
    found.retain(|one| !one.document.is_retracted());
    found
}

/// What was found, as passages to read.
pub fn passages(found: &[Evidence]) -> Vec<Passage<'_>> {
    let passage = |one| {
        let Evidence {
            text, relevance, ..
        }: &Evidence = one;
        Passage {
            text,
            relevance: *relevance,
        }
    };
    found.iter().map(passage).collect()
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
        let write = || -> std::io::Result<()> {
            let mut file = new_file_in(run.dir())?;
            writeln!(file, "{text}")?;
            file.persist(&path).map(drop).map_err(|error| error.error)
        };
        write().map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
    }
}
