//! The report as a page: the findings first, then each benchmark, then how it was made.

use verdict_common::{counted, grouped};
use verdict_data::Label;
use verdict_page::{Block, Figure, Fold, Page, Table};

use super::value::{AbstentionOutcome, BASE, BenchmarkReport, EvalReport};
use super::{Prediction, adapters, dialogues, examples, figures, tables};
use crate::stats::paired::FEW_GROUPS;
use crate::stats::scores::Scores;

impl EvalReport {
    /// The report as Markdown, for a pull request.
    pub fn markdown(&self) -> String {
        self.page().markdown()
    }

    /// The report as a page, without the answers.
    pub fn page(&self) -> Page {
        self.page_with(&[])
    }

    /// The page with the answers, if there are any: the main results first, details collapsed.
    pub(super) fn page_with(&self, predictions: &[Prediction]) -> Page {
        let mut blocks = vec![Block::Text(self.about()), Block::List(self.findings())];
        for benchmark in &self.benchmarks {
            self.add_benchmark(benchmark, predictions, &mut blocks);
        }
        if let Some(table) = tables::consistency(self) {
            blocks.push(Block::Section("Consistency".into()));
            blocks.push(Block::Text(CONSISTENCY.into()));
            blocks.extend(fold("Consistency by rule", vec![Block::Table(table)]));
        }
        blocks.extend(dialogues::blocks(self));
        blocks.push(Block::Section("Intended use and limits".into()));
        blocks.push(Block::List(limits()));
        self.add_selection(&mut blocks);
        self.add_methods(&mut blocks);
        Page {
            title: format!("Evaluation of {}", self.run.run),
            blocks,
        }
    }

    fn about(&self) -> String {
        let tuned: Vec<&str> = self
            .models
            .iter()
            .map(|model| model.name.as_str())
            .filter(|name| *name != BASE)
            .collect();
        let against = match tuned.is_empty() {
            true => String::new(),
            false => format!(" compared with {}", tuned.join(", ")),
        };
        format!(
            "The base model {}{against}, on closed questions that are answered Yes, No or Uncertain with a rationale of one sentence.",
            self.run.model
        )
    }

    /// The results in sentences: for each benchmark the accuracy, whether it differs from the base model's, and what
    /// limits the comparison.
    pub fn findings(&self) -> Vec<String> {
        self.benchmarks
            .iter()
            .filter_map(|benchmark| self.finding(benchmark))
            .collect()
    }

    fn finding(&self, benchmark: &BenchmarkReport) -> Option<String> {
        let model = benchmark.main_model(&self.run)?;
        let accuracy = model.scores.accuracy.estimate();
        let mut text = format!(
            "{} ({}): {} has an accuracy of {}; always answering {} has {}.",
            benchmark.name,
            counted(benchmark.items, "question"),
            model.name,
            tables::interval(&accuracy),
            benchmark.levels.majority_label,
            tables::percent(benchmark.levels.majority_accuracy),
        );
        text += &unbalanced_answers(&model.scores, &benchmark.truths);
        let pair = benchmark
            .pairs
            .iter()
            .find(|pair| pair.first == model.name && pair.second == BASE);
        if let Some(pair) = pair {
            let of = &pair.paired.difference;
            let [value, low, high] = [of.value, of.low, of.high].map(tables::points);
            let conclusion = match (pair.holm <= 0.05, of.value > 0.0) {
                (true, true) => "it is better than the base model",
                (true, false) => "it is worse than the base model",
                (false, _) => "no difference from the base model is shown",
            };
            text += &format!(
                " Difference from the base model: {value} points [{low} to {high}], p {} after Holm's correction: {conclusion}.",
                match pair.holm < 0.001 {
                    true => tables::p_value(pair.holm),
                    false => format!("= {}", tables::p_value(pair.holm)),
                }
            );
            if let (false, Some(least)) = (pair.holm <= 0.05, pair.paired.detectable) {
                text += &format!(
                    " The minimum detectable difference with this many questions is {:.0} points.",
                    100.0 * least
                );
            }
        }
        if let Some(of) = model.abstained.as_ref() {
            text += &abstention(of);
        }
        if let Some(look) = benchmark.describe_look() {
            text += &format!(
                " This is {look}: if anything was chosen by an earlier one, the scores are too high."
            );
        }
        if benchmark.contaminated > 0 {
            text += &format!(" {}.", contamination(benchmark.contaminated));
        }
        Some(text)
    }

    fn add_benchmark(
        &self,
        benchmark: &BenchmarkReport,
        predictions: &[Prediction],
        blocks: &mut Vec<Block>,
    ) {
        blocks.push(Block::Section(benchmark.name.clone()));
        blocks.push(Block::Text(format!(
            "{}. {}.",
            benchmark.title(),
            benchmark.about
        )));
        if let Some(earlier) = &benchmark.earlier {
            blocks.push(Block::Text(format!(
                "Kept from an earlier evaluation on {} ({}, {}).",
                date(earlier.time),
                earlier.tool,
                earlier.methods.machine
            )));
        }
        let drawn = |all: Vec<Option<Figure>>| all.into_iter().flatten().map(Block::Figure);
        blocks.extend(drawn(figures::overview(benchmark)));
        let mut add = |table: Option<Table>| blocks.extend(table.map(Block::Table));
        add(tables::scores(&benchmark.scored(), &benchmark.levels));
        blocks.extend(examples::blocks(&self.run, benchmark, predictions));

        let mut details: Vec<Block> = drawn(figures::details(&self.run, benchmark)).collect();
        let mut add = |table: Option<Table>| details.extend(table.map(Block::Table));
        add(tables::pairs(&benchmark.pairs));
        tables::slices(benchmark)
            .into_iter()
            .for_each(|table| add(Some(table)));
        add(tables::probabilities(benchmark, self.methods.fit));
        add(tables::coverage(benchmark));
        add(tables::abstention(benchmark));
        add(tables::generated(benchmark));
        add(tables::labels(benchmark));
        add(tables::confusions(benchmark));
        add(tables::retrieval(benchmark));
        add(tables::published(benchmark));
        blocks.extend(fold(
            "Comparisons, probabilities, abstention, generated answers",
            details,
        ));
    }

    fn add_selection(&self, blocks: &mut Vec<Block>) {
        blocks.push(Block::Section("How the adapter was chosen".into()));
        blocks.push(Block::Text(format!(
            "On the {} of the validation set, before any test question was answered: {}. Chosen: {}.",
            counted(self.run.base.accuracy.total, "example"),
            self.run.rule,
            self.run.best
        )));
        if let Some(nested) = &self.run.nested {
            let chosen: Vec<String> = nested
                .chosen
                .iter()
                .map(|(name, times)| format!("{name} {}", counted(*times, "time")))
                .collect();
            blocks.push(Block::Text(format!(
                "The validation accuracy of the chosen adapter is too high, because it was chosen by it. Nested cross-validation repeats the choice and the training within each of {} folds ({}); its accuracy on the left-out folds is {}.",
                nested.folds,
                chosen.join(", "),
                tables::rate(&nested.accuracy)
            )));
        }
        let mut details: Vec<Block> = figures::selection(&self.run)
            .into_iter()
            .map(Block::Figure)
            .collect();
        details.extend(adapters::table_of_adapters(&self.run).map(Block::Table));
        blocks.extend(fold("All adapters", details));
        for benchmark in &self.benchmarks {
            blocks.push(Block::Text(format!(
                "{}: its questions have been looked at {}, counted in the run folder, the data set's folder and the cache.",
                benchmark.name,
                match (benchmark.look, benchmark.runs) {
                    (0 | 1, _) => "once".to_owned(),
                    (looks, 0 | 1) => format!("{looks} times"),
                    (looks, runs) => format!("{looks} times by {runs} runs"),
                }
            )));
        }
    }

    fn add_methods(&self, blocks: &mut Vec<Block>) {
        blocks.push(Block::Section("Methods".into()));
        let mut details = vec![Block::List(self.methods_lines())];
        details.extend(tables::models(self).map(Block::Table));
        let best = self.model(&self.run.best);
        if let Some((model, abstention)) =
            best.and_then(|model| Some((model, model.abstention.as_ref()?)))
        {
            let line = format!("{}: {}", model.name, abstention.guarantee);
            details.push(Block::List(vec![line]));
        }
        details.extend(tables::settings(self).map(Block::Table));
        blocks.extend(fold("How the results were computed", details));
    }

    /// How the results were computed, a sentence or two for each kind.
    fn methods_lines(&self) -> Vec<String> {
        let methods = &self.methods;
        let mut prompts = format!("Prompts have at most {} tokens", methods.max_prompt_tokens);
        if self.benchmarks.iter().any(|of| of.contexts > 0) {
            prompts += "; a longer context loses its first sentences";
        }
        let mut lines = vec![
            "Each label is scored after the prompt by all of its tokens, and the probabilities are normalized among the three labels. The predicted label is the most probable one.".to_owned(),
            format!(
                "Generated answers are greedy, with at most {} new tokens, once by unconstrained and once by constrained decoding. {prompts}.",
                methods.max_answer_tokens
            ),
        ];
        lines.extend(self.interval_lines());
        lines.extend([
            format!(
                "Calibration ({}) is fitted on {} of the validation set by maximum likelihood with a weak prior, never on test questions. An ensemble averages the calibrated probabilities of its members.",
                methods.fit.as_str(),
                counted(methods.validation_rows, "prediction"),
            ),
            "Citations are found by the detector that cleans the data set, with a recall of 96 % on the sentences that it was corrected on; its precision was 87 % on 61 removals read before the last corrections. Contradictions are found by rules with a high precision and a low recall, so their number is a lower bound (see the documentation).".into(),
            format!(
                "Computed on {}: {} in {:.1} s.",
                methods.machine,
                counted(methods.answers, "answer"),
                methods.seconds
            ),
        ]);
        lines
    }

    /// The interval and the test of each kind of result.
    fn interval_lines(&self) -> [String; 3] {
        let resampling = &self.methods.resampling;
        [
            "Accuracy, precision, recall and consistency have Wilson's score interval, or a BCa bootstrap interval over groups where several questions share an abstract. Rates of generated answers always have Wilson's interval; where the count is 0, the upper end of the exact interval (Clopper and Pearson) is given.".into(),
            format!(
                "F1 has an interval derived from Wilson's, or a BCa bootstrap interval over groups where several questions share an abstract. Balanced accuracy, macro-F1, log loss, Brier score and the area under the risk-coverage curve have BCa bootstrap intervals over groups; the calibration error and the accuracy at a coverage have percentile bootstrap intervals ({} replicates, seed {}). All intervals are at 95 %.",
                grouped(resampling.replicates),
                resampling.seed
            ),
            format!(
                "The difference of two models on the same questions has Tango's score interval, or a percentile bootstrap interval over groups where several questions share an abstract and at least {FEW_GROUPS} groups favour one of the models. Its p value is that of McNemar's exact test, or of a randomization test over groups where several questions share an abstract, adjusted by Holm over all pairs of a benchmark. The minimum detectable difference is the smallest one that the test at 5 % finds in four of five samples of this size."
            ),
        ]
    }
}

/// Collapsed blocks behind a summary; none if there are no blocks.
fn fold(summary: &str, blocks: Vec<Block>) -> Option<Block> {
    let summary = summary.to_owned();
    (!blocks.is_empty()).then_some(Block::Fold(Fold { summary, blocks }))
}

/// How many questions are contaminated, as a sentence without a full stop.
pub(super) fn contamination(questions: usize) -> String {
    match questions {
        1 => "1 of the questions is contaminated: it occurs in the training set".to_owned(),
        _ => {
            format!("{questions} of the questions are contaminated: they occur in the training set")
        }
    }
}

/// What an accuracy hides: a label that is given far too often, or never.
fn unbalanced_answers(scores: &Scores, truths: &[usize; 3]) -> String {
    let given = |label: Label| -> usize {
        let rows = scores.confusion.0.iter();
        rows.map(|row| row[label.index()]).sum()
    };
    let all: usize = Label::ALL.into_iter().map(given).sum();
    let mut text = String::new();
    for label in Label::ALL {
        let (given, right) = (given(label), truths[label.index()]);
        if all > 0 && 4 * given >= 3 * all && 2 * (given - right.min(given)) >= right {
            text += &format!(" It answers {label} {given} of {all} times; {right} would be right.");
        } else if all > 0 && given == 0 && right > 0 {
            text += &format!(" It never answers {label}, which is right for {right}.");
        }
    }
    text
}

/// A time in seconds since 1970 as a date, UTC.
fn date(time: u64) -> String {
    i64::try_from(time)
        .ok()
        .and_then(|time| jiff::Timestamp::from_second(time).ok())
        .map_or("an unknown date".into(), |time| {
            time.strftime("%Y-%m-%d %H:%M UTC").to_string()
        })
}

/// The outcome of abstaining, as a sentence.
fn abstention(of: &AbstentionOutcome) -> String {
    let target = tables::percent(of.target);
    match of.answered.count {
        0 => format!(" At a target error rate of {target} it abstains from all questions."),
        count => format!(
            " At a target error rate of {target} it answers {} with an observed error rate of {}: {}.",
            counted(count, "question"),
            tables::percent(of.wrong.value),
            match (of.missed(), of.p <= 0.05) {
                (false, _) => "the target is kept",
                (true, true) => "the target is missed",
                (true, false) => "the target is missed, but within chance",
            }
        ),
    }
}

/// Intended use and limits, for readers who are not engineers.
fn limits() -> Vec<String> {
    vec![
        "The report says how often a small language model gives the label that experts (or, where marked, a rule) gave to a question, before and after fine-tuning, and how certain that is with this many questions.".into(),
        "It is meant for evaluating the method. It is not medical advice, and no answer of this model may be used for a patient.".into(),
        "Rationales are not checked against the literature. A format-valid answer can be wrong.".into(),
        "Results on one kind of question do not carry over to others. \"Uncertain\" is a label of the questions; how certain the model is of its answer is the probability.".into(),
        "Read the intervals, not only the values: two models whose difference could be zero are not shown to differ.".into(),
    ]
}

/// The introduction to the consistency table.
const CONSISTENCY: &str = "Questions are paraphrased, so that the answer must stay the same, or negated, so that Yes and No must swap. A model that reads the question rather than its wording is consistent.";
