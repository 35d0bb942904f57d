//! Conditions under which the models of an evaluation answer, besides the benchmark as it comes: without any context, from
//! passages that are found in an index, and from the publications that the questions come with. Each is in the
//! report as a model of its own, so that all are compared on the same questions by paired tests.

use std::collections::BTreeMap;

use verdict_answer::calibration::logits;
use verdict_answer::{
    AnswerSettings, Answerer, Calibration, InferenceEngine, Passage, PassageQuestion, Pool,
    PooledPassage, read_passages,
};
use verdict_data::{Item, Label};
use verdict_eval::{
    Benchmark, CollectedAnswers, EvaluationRequest, RetrievedDocuments, ValidationPrediction,
};
use verdict_evidence::{Conclusions, Evidence, QuestionSource};
use verdict_train::RunFolder;

use crate::evidence::{Literature, RunPools, SearchedQuestion, readable};
use crate::failure::Result;
use crate::printer::Printer;

/// What the conditions need of the evaluation.
pub struct Evaluated<'e, 't> {
    /// The run.
    pub run: &'e RunFolder,
    /// Answers with the run's tokenizer.
    pub answerer: &'e Answerer<'t>,
    /// The models: their names, and their adapters.
    pub models: &'e [(String, Option<usize>)],
    /// Predictions of each model for the validation set.
    pub validation: &'e [Vec<ValidationPrediction>],
    /// The validation set, where the data set was found.
    pub validation_items: &'e [Item],
    /// The benchmarks.
    pub benchmarks: &'e [Benchmark],
    /// Limits of prompts and batches.
    pub settings: &'e AnswerSettings,
    /// The index, where one is given.
    pub literature: Option<&'e Literature>,
}

/// One condition of one model.
pub struct Condition {
    /// Its name in the report.
    pub name: String,
    /// Predictions for the validation set, to calibrate by; none where the answers are calibrated already.
    pub validation: Vec<ValidationPrediction>,
    /// The answers to the questions of each benchmark.
    pub answers: Vec<Vec<CollectedAnswers>>,
}

/// The answers of all models under one condition after the other. With an index, the pools are fitted on the validation set first and written into the
/// run.
pub fn collect(
    of: &Evaluated<'_, '_>,
    engine: &mut dyn InferenceEngine,
    printer: &Printer,
) -> Result<Vec<Condition>> {
    let mut conditions = Vec::new();
    let pools = match of.literature {
        Some(literature) => {
            let pools = of.fit(engine, literature, printer)?;
            pools.write(of.run)?;
            pools
        }
        None => RunPools::read(of.run)?.unwrap_or_default(),
    };
    let any = |has: fn(&Item) -> bool| of.benchmarks.iter().flat_map(|of| &of.items).any(has);
    let closed_book = any(|item| item.context.is_some()) && of.literature.is_some();
    if closed_book {
        conditions.extend(of.closed_book(engine, printer)?);
    }
    if of.benchmarks.iter().any(|of| !of.passages.is_empty()) {
        let own: Vec<Passages> = of.benchmarks.iter().map(own_passages).collect();
        conditions.extend(of.pooled(engine, "each publication", &own, &pools, printer)?);
    }
    if let Some(literature) = of.literature {
        for (name, with_source) in [("evidence", true), ("evidence without source", false)] {
            let mut found = Vec::new();
            for benchmark in of.benchmarks {
                let conclusions = with_source.then_some(match benchmark.hides_conclusions {
                    true => Conclusions::Hidden,
                    false => Conclusions::Kept,
                });
                let own = |place: usize| {
                    benchmark
                        .documents
                        .get(place)
                        .map_or(&[][..], Vec::as_slice)
                };
                let questions = benchmark.items.iter().enumerate();
                let questions = questions.map(|(place, item)| (item, own(place)));
                found.push(of.find(engine, literature, questions, conclusions, printer)?);
            }
            conditions.extend(of.pooled(engine, name, &found, &pools, printer)?);
        }
    }
    Ok(conditions)
}

/// Documents that are looked at to measure a search.
const SEARCHED: usize = 100;

/// Searches for the publications of every benchmark whose questions name theirs.
pub fn search(literature: &Literature, benchmarks: &mut [Benchmark]) -> Result {
    for benchmark in benchmarks {
        if benchmark.documents.iter().all(Vec::is_empty) {
            continue;
        }
        let found = benchmark.items.iter().map(|item| {
            let hits = literature.search(&item.question, SEARCHED)?;
            Ok(hits.into_iter().map(|hit| hit.document.id).collect())
        });
        benchmark.retrieved = Some(RetrievedDocuments {
            documents: literature.index.len(),
            found: found.collect::<Result<_>>()?,
        });
    }
    Ok(())
}

/// The text and relevance of each passage of each question.
type Passages = Vec<Vec<(String, f64)>>;

/// The publications that the questions come with, all of the same relevance.
fn own_passages(benchmark: &Benchmark) -> Passages {
    let of = |texts: &Vec<String>| texts.iter().map(|text| (text.clone(), 1.0)).collect();
    match benchmark.passages.is_empty() {
        // The context that a question has, if any, is its publication.
        true => benchmark
            .items
            .iter()
            .map(|item| {
                item.context
                    .iter()
                    .map(|text| (text.clone(), 1.0))
                    .collect()
            })
            .collect(),
        false => benchmark.passages.iter().map(of).collect(),
    }
}

/// Texts and relevances of what was found, without retracted publications.
fn texts(found: Vec<Evidence>) -> Vec<(String, f64)> {
    let readable = readable(found).into_iter();
    readable.map(|one| (one.text, one.relevance)).collect()
}

impl Evaluated<'_, '_> {
    /// Each model without any context.
    fn closed_book(
        &self,
        engine: &mut dyn InferenceEngine,
        printer: &Printer,
    ) -> Result<Vec<Condition>> {
        let bare: Vec<Vec<Item>> = self
            .benchmarks
            .iter()
            .map(|benchmark| {
                let bare = |item: &Item| Item {
                    context: None,
                    ..item.clone()
                };
                benchmark.items.iter().map(bare).collect()
            })
            .collect();
        let requests: Vec<EvaluationRequest<'_>> = self
            .benchmarks
            .iter()
            .zip(&bare)
            .map(|(benchmark, items)| EvaluationRequest {
                name: &benchmark.name,
                items,
                written: 0,
            })
            .collect();
        let adapters: Vec<Option<usize>> =
            self.models.iter().map(|(_, adapter)| *adapter).collect();
        let total = verdict_eval::answer_count(&requests, adapters.len());
        let progress = printer.progress("closed-book", "answer", total as u64);
        let answers = verdict_eval::collect_answers(
            engine,
            self.answerer,
            &requests,
            &adapters,
            self.settings,
            &mut |count| progress.set(count as u64, ""),
        )?;
        Ok(self
            .models
            .iter()
            .enumerate()
            .map(|(model, (name, _))| Condition {
                name: format!("{name} closed-book"),
                validation: self.validation[model].clone(),
                answers: answers.iter().map(|of| of[model].clone()).collect(),
            })
            .collect())
    }

    /// Each model from passages, which are given for each question of each benchmark.
    fn pooled(
        &self,
        engine: &mut dyn InferenceEngine,
        condition: &str,
        passages: &[Passages],
        pools: &RunPools,
        printer: &Printer,
    ) -> Result<Vec<Condition>> {
        let mut conditions: Vec<Condition> = self
            .models
            .iter()
            .map(|(name, _)| Condition {
                name: format!("{name} + {condition}"),
                validation: Vec::new(),
                answers: Vec::new(),
            })
            .collect();
        for (benchmark, texts) in self.benchmarks.iter().zip(passages) {
            let what = format!("{}: {condition}", benchmark.name);
            let read = self.read(engine, &benchmark.items, texts, &what, printer)?;
            for (model, pooled) in read.iter().enumerate() {
                let pool = self.pool(pools, model);
                let answer = |passages: &Vec<PooledPassage>| CollectedAnswers {
                    logits: match pool.probabilities(passages) {
                        Some(p) => logits(p.map(|p| p as f32)),
                        None => nothing_found(),
                    },
                    other: 0.0,
                    written: None,
                };
                conditions[model]
                    .answers
                    .push(pooled.iter().map(answer).collect());
            }
        }
        Ok(conditions)
    }

    /// The pool of a model: fitted, or its own calibration where none was fitted.
    fn pool(&self, pools: &RunPools, model: usize) -> Pool {
        let fitted = pools.pools.get(&self.models[model].0);
        fitted.map_or_else(|| Pool::unfitted(Calibration::default()), |of| of.pool)
    }

    /// The passages of the index for each question, without retracted publications. `own` gives the ids of the
    /// publications that a question was made from.
    fn find<'q>(
        &self,
        engine: &mut dyn InferenceEngine,
        literature: &Literature,
        questions: impl Iterator<Item = (&'q Item, &'q [String])>,
        conclusions: Option<Conclusions>,
        printer: &Printer,
    ) -> Result<Passages> {
        let searched: Vec<SearchedQuestion<'_>> = questions
            .map(|(item, ids)| SearchedQuestion {
                text: &item.question,
                source: Some(QuestionSource { ids, conclusions }),
            })
            .collect();
        let found = literature.find(&searched, self.answerer, engine, self.settings, printer)?;
        Ok(found.into_iter().map(texts).collect())
    }

    /// What each model says of each passage, by model and question.
    fn read(
        &self,
        engine: &mut dyn InferenceEngine,
        items: &[Item],
        texts: &Passages,
        what: &str,
        printer: &Printer,
    ) -> Result<Vec<Vec<Vec<PooledPassage>>>> {
        let passages: Vec<Vec<Passage<'_>>> = texts
            .iter()
            .map(|of| {
                of.iter()
                    .map(|(text, relevance)| Passage {
                        text,
                        relevance: *relevance,
                    })
                    .collect()
            })
            .collect();
        let mut questions = Vec::new();
        for (_, adapter) in self.models {
            questions.extend(
                items
                    .iter()
                    .zip(&passages)
                    .map(|(item, passages)| PassageQuestion {
                        text: &item.question,
                        adapter: *adapter,
                        passages,
                    }),
            );
        }
        let total: usize = self.models.len() * passages.iter().map(Vec::len).sum::<usize>();
        let progress = printer.progress(what, "passage", total as u64);
        let done = &mut |count: usize| progress.set(count as u64, "");
        let read = read_passages(
            self.answerer,
            engine,
            &questions,
            false,
            self.settings,
            done,
        )?;
        let mut pooled = questions.iter().zip(read).map(|(question, readings)| {
            let of = question.passages.iter().zip(readings);
            of.map(|(passage, reading)| PooledPassage {
                relevance: passage.relevance,
                probabilities: reading.probabilities,
            })
            .collect()
        });
        let models = self.models.iter();
        Ok(models
            .map(|_| pooled.by_ref().take(items.len()).collect())
            .collect())
    }

    /// Fits the pool of each model on the validation set.
    fn fit(
        &self,
        engine: &mut dyn InferenceEngine,
        literature: &Literature,
        printer: &Printer,
    ) -> Result<RunPools> {
        let items = self.validation_items;
        let own: Vec<Vec<String>> = items
            .iter()
            .map(|item| {
                item.group
                    .strip_prefix("pmid:")
                    .map(str::to_owned)
                    .into_iter()
                    .collect()
            })
            .collect();
        let questions = items.iter().zip(own.iter().map(Vec::as_slice));
        let hidden = Some(Conclusions::Hidden);
        let texts = self.find(engine, literature, questions, hidden, printer)?;
        let read = self.read(engine, items, &texts, "fit evidence", printer)?;
        let mut pools = RunPools {
            index: literature.index.fingerprint()?,
            top: literature.top,
            pools: BTreeMap::new(),
        };
        for ((name, _), passages) in self.models.iter().zip(read) {
            let truths = items.iter().map(|item| item.label);
            let rows: Vec<(Vec<PooledPassage>, Label)> = passages.into_iter().zip(truths).collect();
            match Pool::fit(&rows) {
                Some(fitted) => drop(pools.pools.insert(name.clone(), fitted)),
                None => printer.warn(format!(
                    "{name}: no validation question has a relevant publication in the index; \
                     the weights of evidence were not fitted"
                )),
            }
        }
        Ok(pools)
    }
}

/// Logits of the answer where nothing relevant was found: Uncertain.
fn nothing_found() -> [f64; 3] {
    let mut logits = [0.0; 3];
    logits[Label::Uncertain.index()] = 1.0;
    logits
}
