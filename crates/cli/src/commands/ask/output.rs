//! Answers as they are printed: as text, or as JSON.

use serde::Serialize;
use verdict_answer::{Fit, MemberAnswer, Verdict};
use verdict_data::Label;

use super::evidence::{EvidenceAnswer, EvidenceOutput};
use super::resolved::Resolved;
use crate::printer::Printer;

/// An answer, and what it rests on where evidence was asked for.
pub struct Answer {
    /// The answer, with calibrated probabilities.
    pub verdict: Verdict,
    /// What each adapter of an ensemble answers; empty where one adapter or the base model answers.
    pub members: Vec<MemberAnswer>,
    /// The publications.
    pub evidence: Option<EvidenceAnswer>,
}

/// An answer as `--json` prints it.
#[derive(Serialize)]
struct AnswerOutput<'v> {
    #[serde(flatten)]
    verdict: &'v Verdict,
    /// How the probabilities were calibrated.
    calibration: Fit,
    /// Whether the probability was too low to answer.
    abstained: bool,
    /// Reasons to doubt the label and its probability.
    doubts: Vec<String>,
    /// What each adapter of an ensemble answers.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    members: &'v [MemberAnswer],
    /// Share of the publications' weight that gives this label.
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<f64>,
    /// The publications that the answer rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Vec<EvidenceOutput<'v>>>,
}

/// A question that was refused, as `--json` prints it.
#[derive(Serialize)]
pub struct Refused<'q> {
    /// The question.
    pub question: &'q str,
    /// Why.
    pub error: String,
}

impl Answer {
    /// Prints the answer, or that it is withheld.
    pub fn print(&self, resolved: &Resolved, printer: &Printer) {
        let Answer {
            verdict,
            members,
            evidence,
        } = self;
        let threshold = resolved.threshold;
        let most = verdict.probabilities.into_iter().fold(0.0, f32::max);
        let abstained = f64::from(most) < threshold;
        let alone = resolved.calibration.unwrap_or_default();
        printer.json(&AnswerOutput {
            verdict,
            calibration: resolved.fit(),
            abstained,
            doubts: doubts(verdict),
            members,
            agreement: evidence.as_ref().map(|of| of.answer.agreement),
            evidence: evidence.as_ref().map(|of| of.output(alone)),
        });
        match abstained {
            true => print_abstained(verdict, threshold, printer),
            false => print(verdict, printer),
        }
        print_members(members, printer);
        if let Some(evidence) = evidence {
            evidence.print(alone, printer);
        }
    }
}

/// At or below this, the highest of three probabilities is close to chance.
const NEAR_CHANCE: f32 = 0.4;

/// Reasons to doubt an answer.
fn doubts(verdict: &Verdict) -> Vec<String> {
    let mut all = Vec::new();
    if verdict.other > 0.5 {
        all.push(format!(
            "the model prefers another answer: {:.1} % of the probability is on words other than the three labels",
            100.0 * verdict.other
        ));
    }
    let most = verdict.probabilities.into_iter().fold(0.0, f32::max);
    if most <= NEAR_CHANCE {
        all.push("the probabilities of the three labels are near chance (33.3 %)".to_owned());
    }
    if verdict.fallback {
        all.push(
            "the model generated no usable rationale; a fixed sentence replaces it".to_owned(),
        );
    }
    all
}

/// Prints why a question is not answered.
fn print_abstained(verdict: &Verdict, threshold: f64, printer: &Printer) {
    printer.line(&verdict.question);
    let why = match threshold > 1.0 {
        true => {
            "no probability could be certified on the validation set for this error rate".to_owned()
        }
        false => format!(
            "the probability of the best answer is below {:.1} %",
            100.0 * threshold
        ),
    };
    printer.line(format!("  abstains: {why}"));
    printer.line(format!("  {}", percentages(verdict)));
    for doubt in doubts(verdict) {
        printer.line(format!("  note: {doubt}"));
    }
}

/// Prints what each adapter of an ensemble answers.
fn print_members(members: &[MemberAnswer], printer: &Printer) {
    for member in members {
        let probability = 100.0 * member.probabilities[member.label.index()];
        printer.line(format!(
            "    {}: {} {probability:.1} %",
            member.adapter, member.label
        ));
    }
}

/// The probabilities of the labels.
fn percentages(verdict: &Verdict) -> String {
    let share = |label: Label| 100.0 * verdict.probabilities[label.index()];
    Label::ALL
        .map(|label| format!("{label} {:.1} %", share(label)))
        .join("  ")
}

/// Prints one answer.
pub fn print(verdict: &Verdict, printer: &Printer) {
    printer.line(&verdict.question);
    match (verdict.label, &verdict.rationale) {
        (Some(label), Some(rationale)) => {
            printer.line(format!("  {label}. {rationale}"));
        }
        _ => printer.line(format!("  (not format-valid) {}", verdict.answer)),
    }
    printer.line(format!("  {}", percentages(verdict)));
    for doubt in doubts(verdict) {
        printer.line(format!("  note: {doubt}"));
    }
}

#[cfg(test)]
mod tests {
    use verdict_answer::Mode;

    use super::*;

    fn verdict(probabilities: [f32; 3], other: f32, fallback: bool) -> Verdict {
        Verdict {
            question: "Does it help?".into(),
            label: Some(Label::No),
            probabilities,
            other,
            rationale: None,
            answer: String::new(),
            adapter: None,
            mode: Mode::Guaranteed,
            first_word: None,
            fallback,
            format_ok: true,
            tokens: 0,
            latency_ms: 0.0,
        }
    }

    #[test]
    fn reasons_to_doubt_an_answer_are_named() {
        assert!(doubts(&verdict([0.1, 0.8, 0.1], 0.3, false)).is_empty());
        let all = doubts(&verdict([0.3, 0.37, 0.33], 0.94, true)).join("\n");
        for part in ["another answer: 94.0 %", "near chance", "fixed sentence"] {
            assert!(all.contains(part), "{all}");
        }
    }
}
