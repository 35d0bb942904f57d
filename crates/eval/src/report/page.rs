//! The report as a page: what it says first, then each benchmark, then how it was made.

use verdict_common::{counted, grouped};
use verdict_data::Label;
use verdict_page::{Block, Figure, Fold, Page, Table};

use super::{
    Abstained, BASE, BenchmarkReport, EvalReport, Prediction, examples, figures, sweep, tables,
};
use crate::stats::paired::FEW_GROUPS;
use crate::stats::scores::Scores;

impl EvalReport {
    /// The report as Markdown, for a pull request.
    pub fn markdown(&self) -> String {
        self.page().markdown()
    }

    /// The report as one HTML file that loads and runs nothing, without the answers.
    pub fn html(&self) -> String {
        self.page().html()
    }

    /// What stands in both.
    pub fn page(&self) -> Page {
        self.page_with(&[])
    }

    /// The page, with the answers where they are known: what is short and decides first, the rest behind folds.
    pub(super) fn page_with(&self, predictions: &[Prediction]) -> Page {
        let mut blocks = vec![Block::Text(self.about()), Block::List(self.findings())];
        for benchmark in &self.benchmarks {
            self.benchmark_blocks(benchmark, predictions, &mut blocks);
        }
        if let Some(table) = tables::robustness(self, true) {
            blocks.push(Block::Section("The same question asked otherwise".into()));
            blocks.push(Block::Text(ROBUSTNESS.into()));
            blocks.extend(fold("Consistency by rule", vec![Block::Table(table)]));
        }
        blocks.push(Block::Section("What it is for, and what not".into()));
        blocks.push(Block::List(purpose()));
        self.choice(&mut blocks);
        self.methods_blocks(&mut blocks);
        Page {
            title: format!("Evaluation of {}", self.subject.run),
            blocks,
        }
    }

    fn about(&self) -> String {
        let tuned: Vec<&str> = self
            .systems
            .iter()
            .map(|system| system.name.as_str())
            .filter(|name| *name != BASE)
            .collect();
        let against = match tuned.is_empty() {
            true => String::new(),
            false => format!(" against {}", tuned.join(", ")),
        };
        format!(
            "The untrained {}{against}: closed questions answered Yes, No or Uncertain with one sentence that says why.",
            self.subject.model
        )
    }

    /// The figures in sentences: for each benchmark who is best, whether it differs from the untrained model, and
    /// what stands against believing it.
    pub fn findings(&self) -> Vec<String> {
        self.benchmarks
            .iter()
            .filter_map(|benchmark| self.finding(benchmark))
            .collect()
    }

    fn finding(&self, benchmark: &BenchmarkReport) -> Option<String> {
        let judged = benchmark.judged(self)?;
        let accuracy = judged.scores.accuracy.estimate();
        let mut text = format!(
            "{} ({}): {} answers {} right; always {} would be {}.",
            benchmark.name,
            counted(benchmark.items, "question"),
            judged.name,
            tables::interval(&accuracy),
            benchmark.levels.majority_label,
            tables::percent(benchmark.levels.majority_accuracy),
        );
        text += &answers(&judged.scores, &benchmark.truths);
        let pair = benchmark
            .pairs
            .iter()
            .find(|pair| pair.first == judged.name && pair.second == BASE);
        if let Some(pair) = pair {
            let of = &pair.paired.difference;
            let [value, low, high] = [of.value, of.low, of.high].map(tables::points);
            let said = match (pair.holm <= 0.05, of.value > 0.0) {
                (true, true) => "it is better than the untrained model",
                (true, false) => "it is worse than the untrained model",
                (false, _) => "no difference from the untrained model is shown",
            };
            text += &format!(
                " Against the untrained model {value} points [{low} to {high}], p {} after Holm: {said}.",
                match pair.holm < 0.001 {
                    true => tables::p_value(pair.holm),
                    false => format!("= {}", tables::p_value(pair.holm)),
                }
            );
            if let (false, Some(least)) = (pair.holm <= 0.05, pair.paired.detectable) {
                text += &format!(
                    " So few questions can show a difference of {:.0} points or more.",
                    100.0 * least
                );
            }
        }
        if let Some(of) = judged.abstained.as_ref() {
            text += &abstained(of);
        }
        if let Some(looked) = benchmark.looked() {
            text += &format!(
                " This is {looked}: if anything was chosen by an earlier one, the figures flatter."
            );
        }
        if benchmark.trained_on > 0 {
            text += &format!(
                " The training rows give {} of the questions away.",
                benchmark.trained_on
            );
        }
        Some(text)
    }

    fn benchmark_blocks(
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
        if let Some(kept) = &benchmark.kept {
            blocks.push(Block::Text(format!(
                "Judged on {} by an earlier evaluation ({}, {}), which this report keeps.",
                date(kept.time),
                kept.tool,
                kept.methods.machine
            )));
        }
        let drawn = |all: Vec<Option<Figure>>| all.into_iter().flatten().map(Block::Figure);
        blocks.extend(drawn(figures::first(benchmark)));
        let mut add = |table: Option<Table>| blocks.extend(table.map(Block::Table));
        add(tables::scores(&benchmark.scored(), &benchmark.levels));
        blocks.extend(examples::blocks(self, benchmark, predictions));

        let mut more: Vec<Block> = drawn(figures::more(self, benchmark)).collect();
        let mut add = |table: Option<Table>| more.extend(table.map(Block::Table));
        add(tables::pairs(&benchmark.pairs));
        tables::slices(benchmark)
            .into_iter()
            .for_each(|table| add(Some(table)));
        add(tables::probabilities(benchmark, self.methods.fit));
        add(tables::coverage(benchmark));
        add(tables::abstained(benchmark));
        add(tables::written(benchmark));
        add(tables::labels(benchmark));
        add(tables::confusions(benchmark));
        add(tables::published(benchmark));
        blocks.extend(fold("Comparisons, probabilities, abstention, texts", more));
    }

    fn choice(&self, blocks: &mut Vec<Block>) {
        blocks.push(Block::Section("How the adapter was chosen".into()));
        blocks.push(Block::Text(format!(
            "By the {} validation rows, before any test question was asked: {}. Chosen: {}.",
            self.subject.base.accuracy.total, self.subject.rule, self.subject.best
        )));
        if let Some(nested) = &self.subject.nested {
            let chosen: Vec<String> = nested
                .chosen
                .iter()
                .map(|(name, times)| format!("{name} {times} times"))
                .collect();
            blocks.push(Block::Text(format!(
                "The chosen one's own figure on the rows that chose it flatters. Choosing and training within each of {} folds ({}), and judging on the fold that neither saw, gives {} right.",
                nested.folds,
                chosen.join(", "),
                tables::rate(&nested.accuracy)
            )));
        }
        let mut more: Vec<Block> = figures::choice(self)
            .into_iter()
            .map(Block::Figure)
            .collect();
        more.extend(sweep::members(self).map(Block::Table));
        blocks.extend(fold("The sweep", more));
        for benchmark in &self.benchmarks {
            blocks.push(Block::Text(format!(
                "{}: its questions were looked at {}, counted in the run folder, the data set's folder and the cache.",
                benchmark.name,
                match (benchmark.look, benchmark.runs) {
                    (0 | 1, _) => "once".to_owned(),
                    (looks, 0 | 1) => format!("{looks} times"),
                    (looks, runs) => format!("{looks} times by {runs} runs"),
                }
            )));
        }
    }

    fn methods_blocks(&self, blocks: &mut Vec<Block>) {
        blocks.push(Block::Section("Methods".into()));
        let mut more = vec![Block::List(self.methods_lines())];
        more.extend(tables::systems(self).map(Block::Table));
        if let Some(system) = self.system(&self.subject.best) {
            let told: Vec<String> = system
                .abstention
                .iter()
                .map(|of| format!("{}: {}", system.name, of.guarantee))
                .collect();
            if !told.is_empty() {
                more.push(Block::List(told));
            }
        }
        more.extend(tables::settings(self).map(Block::Table));
        blocks.extend(fold("How the figures were computed", more));
    }

    /// How the figures were computed, a sentence or two for each kind.
    fn methods_lines(&self) -> Vec<String> {
        let methods = &self.methods;
        let mut prompts = format!("Prompts have at most {} tokens", methods.max_prompt_tokens);
        if self.benchmarks.iter().any(|of| of.contexts > 0) {
            prompts += "; a longer context loses its first sentences";
        }
        let mut lines = vec![
            "Label and probabilities come from the three words that an answer can begin with, each scored after the prompt by all of its tokens and normalised among the three. The label is the most probable.".to_owned(),
            format!(
                "Written answers are greedy, of at most {} new tokens, once unconstrained (free) and once constrained to the answer format (guaranteed). {prompts}.",
                methods.max_answer_tokens
            ),
        ];
        lines.extend(self.interval_lines());
        lines.extend([
            format!(
                "Calibration ({}) is fitted on {} validation rows by maximum likelihood under a weak prior, and never sees a test question. An ensemble is the mean of its members' calibrated probabilities.",
                methods.fit.as_str(),
                methods.validation_rows
            ),
            "Citations are found by the same detector that cleans the data set; its measured precision is 98 %, its recall 96 %. Contradictions are found by rules; what they find is mostly right, what they miss is not counted (precision and recall in the documentation).".into(),
            format!(
                "Computed on {}: {} answers in {:.1} s.",
                methods.machine,
                grouped(methods.answers),
                methods.seconds
            ),
        ]);
        lines
    }

    /// Which interval and which test each figure has.
    fn interval_lines(&self) -> [String; 3] {
        let resampling = &self.methods.resampling;
        [
            "Accuracy, precision, recall and consistency have Wilson's score interval, or a bootstrap interval over groups (BCa) where several questions share an abstract. Shares of written answers always have Wilson's, and where nothing was found the upper end of the exact interval (Clopper and Pearson).".into(),
            format!(
                "F1 has Wilson's interval of the share that it is a function of, or a bootstrap interval over groups (BCa) where several questions share an abstract. Balanced accuracy, macro-F1, log loss, Brier score and the area under the risk-coverage curve have a bootstrap interval over groups (BCa); the calibration error and the accuracy at a coverage have a percentile one ({} draws, seed {}). All intervals are at 95 %.",
                resampling.replicates, resampling.seed
            ),
            format!(
                "A difference of two systems on the same questions has Tango's score interval, or a percentile bootstrap interval over groups where questions share an abstract and at least {FEW_GROUPS} groups favour a system. Its p value is McNemar's exact test, or where questions share an abstract a randomisation of whole groups, adjusted by Holm over all pairs of a benchmark. \"Could be shown from\" is the smallest difference that a test at 5 % finds in four of five such samples."
            ),
        ]
    }
}

/// Blocks behind a line; nothing where there are none.
fn fold(summary: &str, blocks: Vec<Block>) -> Option<Block> {
    let summary = summary.to_owned();
    (!blocks.is_empty()).then_some(Block::Fold(Fold { summary, blocks }))
}

/// What an accuracy hides: a label that nearly every answer is, labels that no answer is though they would be right.
fn answers(scores: &Scores, truths: &[usize; 3]) -> String {
    let given = |label: Label| -> usize {
        let rows = scores.confusion.0.iter();
        rows.map(|row| row[label.index()]).sum()
    };
    let all: usize = Label::ALL.into_iter().map(given).sum();
    let mut text = String::new();
    for label in Label::ALL {
        let (given, right) = (given(label), truths[label.index()]);
        // A label that far more answers are than questions call for.
        if all > 0 && 4 * given >= 3 * all && 2 * (given - right.min(given)) >= right {
            text += &format!(" It answers {label} {given} of {all} times; {right} would be right.");
        } else if all > 0 && given == 0 && right > 0 {
            text += &format!(" It never answers {label}, which is right for {right}.");
        }
    }
    text
}

/// The day of a time in seconds since 1970, UTC.
fn date(time: u64) -> String {
    i64::try_from(time)
        .ok()
        .and_then(|time| jiff::Timestamp::from_second(time).ok())
        .map_or("an unknown day".into(), |time| {
            time.strftime("%Y-%m-%d %H:%M UTC").to_string()
        })
}

/// What abstaining gave, as a sentence.
fn abstained(of: &Abstained) -> String {
    let target = tables::percent(of.target);
    match of.answered.count {
        0 => format!(" At a target error rate of {target} it abstains from all of them."),
        count => format!(
            " At a target error rate of {target} it answers {count} of them; {} of these are wrong: {}.",
            tables::percent(of.wrong.value),
            match (of.missed(), of.p <= 0.05) {
                (false, _) => "the target is kept",
                (true, true) => "the target is missed",
                (true, false) => "the target is missed, by no more than chance could",
            }
        ),
    }
}

/// For a reader who is no engineer.
fn purpose() -> Vec<String> {
    vec![
        "It says how often a small language model gives the label that experts (or, where marked, a rule) gave to a question, before and after it was trained, and how sure one can be of that with so many questions.".into(),
        "It is for judging the method. It is not medical advice, and no answer of this model is to be used for a patient.".into(),
        "The sentence after a label is not checked against the literature. A well-formed sentence can be wrong.".into(),
        "A figure from questions of one kind says nothing about questions of another. \"Uncertain\" is a label of the questions here, not the model's doubt; its doubt is the probability.".into(),
        "Read the intervals, not the figures: two systems whose difference could be zero are not shown to differ.".into(),
    ]
}

/// What is told of robustness.
const ROBUSTNESS: &str = "Questions are put in other words that must not change the answer, or turned so that Yes and No must change places. Whoever reads the question and not its dress behaves alike.";
