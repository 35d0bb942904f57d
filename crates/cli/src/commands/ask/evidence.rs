//! `verdict ask --evidence`: answers that rest on publications found in an index.

use serde::Serialize;
use verdict_answer::{
    AnswerSettings, Calibration, ModelInferenceEngine, Passage, PassageAnswer, PassageQuestion,
    Pool, answer_from_passages,
};
use verdict_common::share;
use verdict_data::{Label, sentences};
use verdict_evidence::{Evidence, Notice, NoticeKind};

use super::chosen::Loaded;
use crate::evidence::{Literature, SearchedQuestion, passages, readable};
use crate::failure::Result;
use crate::printer::Printer;

/// An answer and the publications that it rests on.
pub struct EvidenceAnswer {
    /// The answer, and what each publication that was read says.
    pub answer: PassageAnswer,
    /// The publications that were found, retracted ones among them, in the order of the search.
    pub found: Vec<Evidence>,
}

/// A publication, as `--json` prints it.
#[derive(Serialize)]
pub struct EvidenceOutput<'e> {
    /// PMID, or the id that the source gave.
    id: &'e str,
    title: &'e str,
    year: Option<u16>,
    journal: Option<&'e str>,
    /// Score of the search.
    score: f32,
    /// Score relative to the best publication's.
    relevance: f64,
    /// Share of the question's terms that it contains, weighted by rarity.
    matched: f64,
    /// Whether it was retracted; then it is not read and counts for nothing.
    retracted: bool,
    /// Retractions, corrections and expressions of concern.
    notices: &'e [Notice],
    /// What the model says from this publication alone; none if it was retracted.
    reading: Option<ReadingOutput<'e>>,
    /// The text that was read.
    passage: &'e str,
}

/// What one publication says.
#[derive(Serialize)]
struct ReadingOutput<'e> {
    label: Label,
    /// Probabilities of Yes, No and Uncertain, calibrated like an answer from a given context.
    probabilities: [f64; 3],
    /// Its weight in the answer.
    weight: f64,
    /// Whether it gives the answer's label.
    agrees: bool,
    /// Whether the rationale comes from it.
    decisive: bool,
    /// The sentence that alone gives the label the highest probability.
    sentence: Option<&'e str>,
}

/// Answers the questions from publications.
pub fn answer(
    loaded: &Loaded,
    literature: &Literature,
    texts: &[&str],
    pool: &Pool,
    settings: &AnswerSettings,
    printer: &Printer,
) -> Result<Vec<EvidenceAnswer>> {
    let answerer = loaded.opened.answerer()?;
    let mut engine = ModelInferenceEngine::new(&loaded.opened.model, &loaded.bank);
    let searched: Vec<SearchedQuestion<'_>> = texts
        .iter()
        .map(|text| SearchedQuestion { text, source: None })
        .collect();
    let found = literature.find(&searched, &answerer, &mut engine, settings, printer)?;
    let readable: Vec<Vec<Evidence>> = found.iter().cloned().map(readable).collect();
    let passages: Vec<Vec<Passage<'_>>> = readable.iter().map(|of| passages(of)).collect();
    let questions: Vec<PassageQuestion<'_>> = texts
        .iter()
        .zip(&passages)
        .map(|(text, passages)| PassageQuestion {
            text,
            adapter: loaded.adapter,
            passages,
        })
        .collect();
    // Each passage is read as a whole, and each of its sentences.
    let of = |passage: &Passage<'_>| 1 + sentences(passage.text).count();
    let total: usize = passages.iter().flatten().map(of).sum();
    let progress = printer.progress("read", "passage", total as u64);
    let done = &mut |count: usize| progress.set(count as u64, "");
    let answers = answer_from_passages(&answerer, &mut engine, &questions, pool, settings, done)?;
    drop(progress);
    let both = answers.into_iter().zip(found);
    Ok(both
        .map(|(answer, found)| EvidenceAnswer { answer, found })
        .collect())
}

impl EvidenceAnswer {
    /// The publications, as `--json` prints them.
    pub fn output(&self, calibration: Calibration) -> Vec<EvidenceOutput<'_>> {
        let mut read = 0;
        self.found
            .iter()
            .map(|one| {
                let document = &one.document;
                let retracted = document.is_retracted();
                let reading = (!retracted).then(|| {
                    read += 1;
                    self.reading(read - 1, calibration)
                });
                EvidenceOutput {
                    id: &document.id,
                    title: &document.title,
                    year: document.year,
                    journal: document.journal.as_deref(),
                    score: one.score,
                    relevance: one.relevance,
                    matched: one.matched,
                    retracted,
                    notices: &document.notices,
                    reading,
                    passage: &one.text,
                }
            })
            .collect()
    }

    fn reading(&self, place: usize, calibration: Calibration) -> ReadingOutput<'_> {
        let reading = &self.answer.readings[place];
        ReadingOutput {
            label: reading.label,
            probabilities: calibration.recalibrate(reading.probabilities),
            weight: self.answer.weights[place],
            agrees: Some(reading.label) == self.answer.verdict.label,
            decisive: self.answer.decisive == Some(place),
            sentence: reading.sentence.as_deref(),
        }
    }

    /// Prints the publications below the answer.
    pub fn print(&self, calibration: Calibration, printer: &Printer) {
        if self.found.is_empty() {
            return;
        }
        let agreement = share(self.answer.agreement);
        printer.line(format!(
            "  evidence: {agreement} of its weight gives this answer"
        ));
        for one in self.output(calibration) {
            let year = one.year.map(|year| format!(" ({year})"));
            let year = year.unwrap_or_default();
            let title = match one.title.is_empty() {
                true => "(no title)",
                false => one.title,
            };
            let says = match &one.reading {
                None => "retracted, not counted".to_owned(),
                Some(reading) => {
                    let p = reading.probabilities[reading.label.index()];
                    let mark = match (reading.decisive, reading.agrees) {
                        (true, _) => ", decisive",
                        (false, true) => "",
                        (false, false) => ", disagrees",
                    };
                    format!("{} {}{mark}", reading.label, share(p))
                }
            };
            printer.line(format!("    {}{year} {says}: {title}", one.id));
            for notice in one.notices.iter().filter_map(notice) {
                printer.line(format!("      {notice}"));
            }
            if let Some(sentence) = one.reading.as_ref().and_then(|reading| reading.sentence) {
                printer.line(format!("      “{sentence}”"));
            }
        }
    }
}

/// A notice in words; retractions are named beside the title.
fn notice(notice: &Notice) -> Option<String> {
    let what = match notice.kind {
        NoticeKind::Retracted => "retracted",
        NoticeKind::Corrected => "corrected",
        NoticeKind::Concern => "expression of concern",
    };
    let place = notice.reference.as_deref().unwrap_or_default();
    let pmid = notice.pmid.as_ref().map(|pmid| format!(" (PMID {pmid})"));
    let pmid = pmid.unwrap_or_default();
    (!place.is_empty() || !pmid.is_empty()).then(|| format!("{what}: {place}{pmid}"))
}
