//! Ensembles: several adapters answer a question in one batch, and their mean is the answer.
//!
//! ```text
//! p = 1/N Σ_a softmax(z_a / T_a)
//! ```
//!
//! over the N adapters, each with its own calibration, as `verdict eval --ensemble` computes it. The label is the one
//! with the highest mean probability. Its rationale is that of the adapter that gives this label the highest
//! probability among those that answered with it; where none did, which a mean allows, the adapter that gives it the
//! highest probability writes one for it.

use serde::{Deserialize, Serialize};
use verdict_data::Label;

use crate::answerer::Answerer;
use crate::calibration::Calibration;
use crate::engine::InferenceEngine;
use crate::error::AnswerError;
use crate::labels;
use crate::prompt::EncodedPrompt;
use crate::request::{AnswerSettings, Question};
use crate::verdict::Verdict;

/// An adapter of an ensemble.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnsembleMember {
    /// Index of the adapter.
    pub adapter: usize,
    /// How its probabilities are calibrated.
    pub calibration: Calibration,
}

/// The answer of an ensemble.
#[derive(Clone, Debug, PartialEq)]
pub struct EnsembleVerdict {
    /// The answer, with the mean of the calibrated probabilities.
    pub verdict: Verdict,
    /// What each adapter answers, in the order of the members.
    pub members: Vec<MemberAnswer>,
}

/// What one adapter of an ensemble answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberAnswer {
    /// Name of the adapter.
    pub adapter: String,
    /// Its label.
    pub label: Label,
    /// Its calibrated probabilities, in the order of [`Label::ALL`]. In JSON an object with the labels as keys.
    #[serde(with = "crate::verdict::by_label")]
    pub probabilities: [f32; 3],
}

/// Answers every question with every member, in one batch; `Question::adapter` is not used. `done` is called with the
/// number of questions answered so far.
///
/// # Errors
/// Any [`AnswerError`].
///
/// # Panics
/// Without members, when there are not as many prompts as questions, or for a question in
/// [`Mode::Free`](crate::Mode::Free), whose answer need not have a label.
pub fn answer_ensemble(
    answerer: &Answerer<'_>,
    engine: &mut dyn InferenceEngine,
    questions: &[Question<'_>],
    prompts: Vec<EncodedPrompt>,
    members: &[EnsembleMember],
    settings: &AnswerSettings,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<EnsembleVerdict>, AnswerError> {
    assert!(!members.is_empty(), "an ensemble has members");
    let (mut all, mut their_prompts) = (Vec::new(), Vec::new());
    for (question, prompt) in questions.iter().zip(&prompts) {
        for member in members {
            all.push(with_adapter(question, member));
            their_prompts.push(prompt.clone());
        }
    }
    let mut verdicts = answerer
        .answer_encoded(engine, &all, their_prompts, settings, &mut |count| {
            done(count / members.len());
        })?
        .into_iter();
    let mut outcomes: Vec<Outcome> = questions
        .iter()
        .map(|_| Outcome::of(verdicts.by_ref().take(members.len()).collect(), members))
        .collect();
    let unwritten = |outcome: &Outcome| outcome.speaker_label() != outcome.label;
    let places: Vec<usize> = (0..outcomes.len())
        .filter(|&place| unwritten(&outcomes[place]))
        .collect();
    let again: Vec<Question<'_>> = places
        .iter()
        .map(|&place| Question {
            label: Some(outcomes[place].label),
            ..with_adapter(&questions[place], &members[outcomes[place].speaker])
        })
        .collect();
    let prompts = places.iter().map(|&place| prompts[place].clone()).collect();
    let written = answerer.answer_encoded(engine, &again, prompts, settings, &mut |_| {})?;
    for (place, verdict) in places.into_iter().zip(written) {
        outcomes[place].say(verdict);
    }
    let name = members
        .iter()
        .map(|member| engine.adapter_name(member.adapter))
        .collect::<Vec<_>>()
        .join("+");
    let outcomes = outcomes.into_iter();
    Ok(outcomes.map(|outcome| outcome.verdict(&name)).collect())
}

fn with_adapter<'q>(question: &Question<'q>, member: &EnsembleMember) -> Question<'q> {
    Question {
        adapter: Some(member.adapter),
        ..*question
    }
}

/// What the members say to one question.
struct Outcome {
    verdicts: Vec<Verdict>,
    /// Calibrated probabilities of each member.
    calibrated: Vec<[f64; 3]>,
    mean: [f64; 3],
    label: Label,
    /// The member whose rationale is taken.
    speaker: usize,
}

impl Outcome {
    fn of(verdicts: Vec<Verdict>, members: &[EnsembleMember]) -> Outcome {
        let calibrated: Vec<[f64; 3]> = verdicts
            .iter()
            .zip(members)
            .map(|(verdict, member)| member.calibration.recalibrate(verdict.probabilities))
            .collect();
        let mean = mean(calibrated.iter().copied());
        let label = labels::best(mean.map(|p| p as f32));
        // The first of equals, so that the order of the members decides.
        let rank = |member: usize| {
            let agrees = verdicts[member].label == Some(label);
            (agrees, calibrated[member][label.index()])
        };
        let speaker = (1..verdicts.len()).fold(0, |best, member| {
            if rank(member) > rank(best) {
                member
            } else {
                best
            }
        });
        Outcome {
            verdicts,
            calibrated,
            mean,
            label,
            speaker,
        }
    }

    fn speaker_label(&self) -> Label {
        self.verdicts[self.speaker].label.unwrap_or(self.label)
    }

    /// Takes the rationale that the speaker wrote for the ensemble's label.
    fn say(&mut self, written: Verdict) {
        let own = &self.verdicts[self.speaker];
        self.verdicts.push(Verdict {
            latency_ms: own.latency_ms + written.latency_ms,
            ..written
        });
        // The members' own answers stay where they are.
        self.speaker = self.verdicts.len() - 1;
    }

    fn verdict(self, name: &str) -> EnsembleVerdict {
        let members = self.verdicts.iter().zip(&self.calibrated);
        let members = members.map(|(verdict, calibrated)| MemberAnswer {
            adapter: verdict.adapter.clone().unwrap_or_default(),
            label: verdict.label.unwrap_or(self.label),
            probabilities: calibrated.map(|p| p as f32),
        });
        let members: Vec<MemberAnswer> = members.collect();
        let count = members.len();
        let other = self.verdicts[..count].iter().map(|of| of.other);
        let latency = self.verdicts.iter().map(|of| of.latency_ms);
        let said = &self.verdicts[self.speaker];
        let verdict = Verdict {
            label: Some(self.label),
            probabilities: self.mean.map(|p| p as f32),
            other: other.sum::<f32>() / count as f32,
            adapter: Some(name.to_owned()),
            latency_ms: latency.fold(0.0, f64::max),
            ..said.clone()
        };
        EnsembleVerdict { verdict, members }
    }
}

/// Mean of the members' probabilities.
pub fn mean(all: impl Iterator<Item = [f64; 3]>) -> [f64; 3] {
    let (mut sum, mut count) = ([0.0; 3], 0);
    for one in all {
        for (sum, p) in sum.iter_mut().zip(one) {
            *sum += p;
        }
        count += 1;
    }
    sum.map(|sum| sum / f64::from(count.max(1)))
}
