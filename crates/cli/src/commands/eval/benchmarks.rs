//! Benchmarks by name: where their questions are, and what the report says about them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use verdict_data::{Context, DataSet, Input, Item, Label, NaiveBayes, Source};
use verdict_eval::Benchmark;
use verdict_eval::published;

use crate::datasets::SourceSpec;
use crate::failure::{Failure, Result};
use crate::loading;
use crate::printer::Printer;

/// How benchmarks are named, for help and messages.
const KINDS: &str = "test, validation, challenge, pubmedqa[:FILE], pubmedqa-question-only[:FILE], \
                         bioasq-yn:FILE-OR-FOLDER, bioasq-snippets:FILE-OR-FOLDER, medevidence:FILE, stats-heldout[:ROWS], or a source as build takes it \
                         (jsonl:FILE, hub:ORG/NAME/PATH, …)";

/// PubMedQA's questions, if no file is given.
const PUBMEDQA: &str = "hub:qiaojin/PubMedQA/pqa_labeled";
/// Questions of `stats-heldout` by default.
const STATS_ROWS: usize = 600;
/// Seed of generated benchmarks; data sets are rarely built with it.
const SEED: u64 = 20_261_123;

/// A benchmark as it is given.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchmarkName {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Test,
    Validation,
    Challenge,
    Pubmedqa {
        source: Box<SourceSpec>,
        context: bool,
    },
    Bioasq {
        path: PathBuf,
        snippets: bool,
    },
    Medevidence(PathBuf),
    StatsHeldout(usize),
    Source(Box<SourceSpec>),
}

impl FromStr for BenchmarkName {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<BenchmarkName, String> {
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        let none = |kind: Kind| match argument {
            None => Ok(kind),
            Some(_) => Err(format!("expected {name} without an argument")),
        };
        let pubmedqa = |context: bool| {
            let source = match argument {
                None => PUBMEDQA.parse()?,
                Some(path) if path.starts_with("hub:") => path.parse()?,
                Some(path) => SourceSpec::Local(Input::from(Source::PubmedqaLabeled(path.into()))),
            };
            Ok::<Kind, String>(Kind::Pubmedqa {
                source: Box::new(source),
                context,
            })
        };
        let kind = match name {
            "test" => none(Kind::Test)?,
            "validation" => none(Kind::Validation)?,
            "challenge" => none(Kind::Challenge)?,
            "pubmedqa" => pubmedqa(true)?,
            "pubmedqa-question-only" => pubmedqa(false)?,
            "bioasq-yn" | "bioasq-snippets" => match argument {
                Some(path) if !path.is_empty() => Kind::Bioasq {
                    path: path.into(),
                    snippets: name == "bioasq-snippets",
                },
                _ => return Err(format!("expected {name}:FILE-OR-FOLDER")),
            },
            "medevidence" => match argument {
                Some(path) if !path.is_empty() => Kind::Medevidence(path.into()),
                _ => return Err("expected medevidence:FILE".into()),
            },
            "stats-heldout" => match argument.map(str::parse) {
                None => Kind::StatsHeldout(STATS_ROWS),
                Some(Ok(rows)) if rows > 0 => Kind::StatsHeldout(rows),
                Some(_) => return Err("expected stats-heldout:ROWS with at least 1 row".into()),
            },
            _ => match text.parse::<SourceSpec>() {
                Ok(source) => Kind::Source(Box::new(source)),
                Err(_) if argument.is_none() => {
                    return Err(format!("expected one of {KINDS}"));
                }
                Err(fault) => return Err(fault),
            },
        };
        Ok(BenchmarkName {
            text: text.to_owned(),
            kind,
        })
    }
}

impl BenchmarkName {
    /// Its name in the report.
    pub fn name(&self) -> String {
        match &self.kind {
            Kind::Source(_) => self.text.clone(),
            _ => self.text.split(':').next().unwrap_or_default().to_owned(),
        }
    }

    /// Whether it is a split of the run's data set.
    pub fn is_split(&self) -> bool {
        matches!(self.kind, Kind::Test | Kind::Validation)
    }

    /// Reads its questions.
    pub fn read(&self, set: Option<&DataSet>, printer: &Printer) -> Result<Benchmark> {
        let whole = Context::whole();
        let split = |pick: fn(&DataSet) -> &Vec<Item>| set.map(pick).cloned().unwrap_or_default();
        let mut benchmark = Benchmark::default();
        let about = match &self.kind {
            Kind::Test => {
                benchmark.items = split(|set| &set.test);
                "The test set of the run, used neither for training nor for selection".to_owned()
            }
            Kind::Validation => {
                benchmark.items = split(|set| &set.validation);
                "The validation set of the run; the adapter was selected on it, so these figures are optimistic"
                    .into()
            }
            Kind::Challenge => {
                benchmark.items = verdict_eval::challenge();
                "Ten built-in questions that a model answers wrongly if it only knows the words"
                    .into()
            }
            Kind::Pubmedqa { source, context } => {
                let input = loading::input((**source).clone(), printer)?;
                let items = verdict_data::benchmark(&input, SEED, context.then_some(&whole))?;
                benchmark.items = official(items)?;
                add_origins(&input, &mut benchmark)?;
                benchmark.hides_conclusions = true;
                let how = match context {
                    true => "with the abstract, except its conclusion, before the question",
                    false => "the question alone, without its abstract",
                };
                format!("PubMedQA's official test of 500 (Jin et al. 2019), {how}")
            }
            Kind::Bioasq { path, snippets } => {
                let input = Input::from(Source::Bioasq(path.clone()));
                benchmark.items =
                    verdict_data::benchmark(&input, SEED, snippets.then_some(&whole))?;
                add_origins(&input, &mut benchmark)?;
                let how = match snippets {
                    true => "with the experts' snippets before the question",
                    false => "without snippets",
                };
                format!("The yes/no questions of BioASQ Task B, {how}")
            }
            Kind::Medevidence(path) => return self.medevidence(path),
            Kind::StatsHeldout(rows) => {
                benchmark.items = verdict_data::stats_held_out(*rows, SEED);
                "Generated questions about reading study results, with wordings and families that are never trained on"
                    .into()
            }
            Kind::Source(source) => {
                let input = loading::input((**source).clone(), printer)?;
                benchmark.items = verdict_data::benchmark(&input, SEED, Some(&whole))?;
                add_origins(&input, &mut benchmark)?;
                benchmark.hides_conclusions = !matches!(input.source, Source::Bioasq(_));
                format!("Every labeled row of {}", self.text)
            }
        };
        self.checked(Benchmark { about, ..benchmark })
    }

    /// The benchmark, with its name and what follows from that.
    fn checked(&self, benchmark: Benchmark) -> Result<Benchmark> {
        if benchmark.items.is_empty() {
            return Err(Failure::input(format!(
                "--benchmark {}: expected at least one labeled question, found none",
                self.text
            )));
        }
        Ok(Benchmark {
            name: self.name(),
            contaminated: vec![false; benchmark.items.len()],
            published: published::of(&self.name()),
            ..benchmark
        })
    }

    /// MedEvidence: each line as two questions, with its studies.
    fn medevidence(&self, path: &Path) -> Result<Benchmark> {
        let mut benchmark = Benchmark {
            about: "Conclusions of Cochrane reviews (MedEvidence 2025), each as two yes/no questions (higher? lower?), \
                    with the abstracts of the reviewed studies"
                .into(),
            ..Benchmark::default()
        };
        let (mut certainty, mut specialty) = (Vec::new(), Vec::new());
        for question in verdict_data::medevidence(path)? {
            let (pmids, texts) = question.studies.into_iter().unzip();
            benchmark.items.push(question.item);
            benchmark.documents.push(pmids);
            benchmark.passages.push(texts);
            certainty.push(question.certainty);
            specialty.push(question.specialty);
        }
        benchmark.properties = vec![
            ("certainty of evidence", certainty),
            ("specialty", specialty),
        ];
        self.checked(benchmark)
    }
}

/// Adds what the source says about the publications that each question was made from.
fn add_origins(input: &Input, benchmark: &mut Benchmark) -> Result {
    let mut known = verdict_data::row_origins(input)?;
    for item in &benchmark.items {
        let origin = known.remove(&item.id).unwrap_or_default();
        benchmark.documents.push(origin.pmids);
        benchmark.headings.push(origin.mesh);
        // Without contexts, questions have no sections either.
        let sections = origin.sections.filter(|_| item.context.is_some());
        benchmark.sections.push(sections);
    }
    Ok(())
}

/// The 500 questions of PubMedQA's official test, out of its 1,000 labeled questions.
fn official(items: Vec<Item>) -> Result<Vec<Item>> {
    let wanted: HashSet<&str> = verdict_data::pubmedqa_test().collect();
    let items: Vec<Item> = items
        .into_iter()
        .filter(|item| wanted.contains(item.id.rsplit(':').next().unwrap_or_default()))
        .collect();
    match items.len() == wanted.len() {
        true => Ok(items),
        false => Err(Failure::input(format!(
            "--benchmark pubmedqa: expected the {} questions of the official test, found {} of them",
            wanted.len(),
            items.len()
        ))
        .hint("use PubMedQA's ori_pqal.json: pubmedqa:FILE")),
    }
}

/// Compares each benchmark with the training set: which questions are contaminated, and what the question-only baseline
/// predicts.
pub fn compare_with_training(benchmarks: &mut [Benchmark], set: &DataSet) {
    let baseline = NaiveBayes::train(&set.train);
    for benchmark in benchmarks {
        benchmark.contaminated = verdict_data::trained_on(&set.train, &benchmark.items);
        let labels: Vec<Label> = benchmark
            .items
            .iter()
            .map(|item| baseline.guess(&item.question).0)
            .collect();
        benchmark.question_only = Some(labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_mistakes_reported() {
        for (text, name) in [
            ("test", "test"),
            ("challenge", "challenge"),
            ("pubmedqa", "pubmedqa"),
            ("pubmedqa:ori_pqal.json", "pubmedqa"),
            (
                "pubmedqa-question-only:ori_pqal.json",
                "pubmedqa-question-only",
            ),
            ("bioasq-yn:golden", "bioasq-yn"),
            ("bioasq-snippets:golden", "bioasq-snippets"),
            ("medevidence:abstracts.jsonl", "medevidence"),
            ("stats-heldout", "stats-heldout"),
            ("stats-heldout:30", "stats-heldout"),
            ("jsonl:mine.jsonl", "jsonl:mine.jsonl"),
        ] {
            let named: BenchmarkName = text
                .parse()
                .unwrap_or_else(|fault| panic!("{text}: {fault}"));
            assert_eq!(named.name(), name);
        }
        for (text, expected) in [
            ("tset", "expected one of test, "),
            ("test:1", "expected test without an argument"),
            ("stats-heldout:0", "expected stats-heldout:ROWS"),
            ("bioasq-yn", "expected bioasq-yn:FILE-OR-FOLDER"),
            ("medevidence:", "expected medevidence:FILE"),
        ] {
            let fault = text.parse::<BenchmarkName>().expect_err(text);
            assert!(fault.starts_with(expected), "{text}: {fault}");
        }
    }

    #[test]
    fn a_thousand_without_the_official_ones_is_refused() {
        let fault = official(Vec::new()).expect_err("none");
        assert!(
            fault.faults[0].contains("found 0 of them"),
            "{:?}",
            fault.faults
        );
    }
}
