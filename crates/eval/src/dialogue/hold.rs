//! Asks models turn by turn.

use verdict_answer::prompt::Turn;
use verdict_answer::{AnswerError, AnswerSettings, Answerer, InferenceEngine, Mode, Question};
use verdict_data::Label;

use super::turns::Dialogue;
use crate::error::EvalError;

/// Name of the request in errors.
const NAME: &str = "dialogues";

/// What a model answered in one turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenAnswer {
    /// The label.
    pub label: Label,
    /// The whole answer by constrained decoding; in the last turn, which nothing follows, the label alone.
    pub text: String,
}

/// What a model answered in each turn of a dialogue.
pub type HeldDialogue = [GivenAnswer; 3];

/// Holds all dialogues with all models (`None` is the base model, a number an adapter). The earlier turns of a prompt
/// contain what the model itself answered, by constrained decoding. `done` is called with the number of turns so far, out
/// of [`turn_count`]. Returns the answers by model and dialogue.
///
/// # Errors
/// [`EvalError`], with the question of the dialogue where one is at fault.
pub fn hold(
    engine: &mut dyn InferenceEngine,
    answerer: &Answerer<'_>,
    dialogues: &[Dialogue],
    models: &[Option<usize>],
    settings: &AnswerSettings,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<HeldDialogue>>, EvalError> {
    let limits = answerer
        .limits(engine, settings)
        .map_err(EvalError::Answer)?;
    let asked: Vec<(Option<usize>, &Dialogue)> = models
        .iter()
        .flat_map(|model| dialogues.iter().map(|dialogue| (*model, dialogue)))
        .collect();
    let mut given: Vec<Vec<GivenAnswer>> = vec![Vec::new(); asked.len()];
    for place in 0..3 {
        let mut questions = Vec::new();
        let mut prompts = Vec::new();
        for (number, ((adapter, dialogue), given)) in asked.iter().zip(&given).enumerate() {
            let earlier: Vec<Turn<'_>> = dialogue
                .turns
                .iter()
                .zip(given)
                .map(|(turn, answer)| Turn {
                    question: &turn.question,
                    context: turn.context.as_deref(),
                    answer: &answer.text,
                })
                .collect();
            let turn = &dialogue.turns[place];
            let context = turn.context.as_deref();
            let prompt = answerer
                .encode_dialogue(&earlier, &turn.question, context, limits)
                .map_err(|source| {
                    let number = number + 1;
                    fault(dialogue, AnswerError::Prompt { number, source })
                })?;
            prompts.push(prompt);
            questions.push(Question {
                text: &turn.question,
                context,
                adapter: *adapter,
                mode: match place {
                    2 => Mode::Label,
                    _ => Mode::Guaranteed,
                },
                label: None,
            });
        }
        let before = place * asked.len();
        let mut done = |count: usize| done(before + count);
        let verdicts = answerer
            .answer_encoded(engine, &questions, prompts, settings, &mut done)
            .map_err(|source| match source {
                AnswerError::NotFinite { number } => fault(asked[number - 1].1, source),
                source => EvalError::Answer(source),
            })?;
        for (given, verdict) in given.iter_mut().zip(verdicts) {
            let label = verdict.label.expect("constrained decoding gives a label");
            given.push(GivenAnswer {
                label,
                text: match verdict.mode {
                    Mode::Label => label.to_string(),
                    _ => verdict.answer,
                },
            });
        }
    }
    let mut held = given
        .into_iter()
        .map(|turns| HeldDialogue::try_from(turns).expect("an answer in each of three turns"));
    Ok(models
        .iter()
        .map(|_| held.by_ref().take(dialogues.len()).collect())
        .collect())
}

/// The number of turns that [`hold`] asks of so many models.
pub fn turn_count(dialogues: &[Dialogue], models: usize) -> usize {
    3 * dialogues.len() * models
}

fn fault(dialogue: &Dialogue, source: AnswerError) -> EvalError {
    EvalError::Item {
        benchmark: NAME.to_owned(),
        id: dialogue.id.clone(),
        source,
    }
}
