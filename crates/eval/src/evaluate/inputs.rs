//! The inputs of an evaluation besides the answers.

use crate::collect::CollectedAnswers;
use crate::dialogue::{Dialogue, HeldDialogue};
use crate::evaluated_run::{EvaluatedRun, ValidationPrediction};
use crate::looks::Look;
use crate::report::Methods;
use crate::robustness::VariantQuestions;
use crate::text::TrainingRationales;

/// What is evaluated, and how.
#[derive(Debug)]
pub struct EvaluationOptions<'o> {
    /// The run.
    pub run: EvaluatedRun,
    /// The methods.
    pub methods: Methods,
    /// All looks so far, this one the last.
    pub looks: Vec<Look>,
    /// Names of the models, in the order of their answers.
    pub models: Vec<String>,
    /// The model and the condition behind each name, both by number; empty where each name is a model of its own. Two
    /// names are compared where they share one of both.
    pub conditions: Vec<[usize; 2]>,
    /// Predictions of each model for the validation set.
    pub validation: Vec<Vec<ValidationPrediction>>,
    /// Ensembles: a name, and the indices of the models.
    pub ensembles: Vec<(String, Vec<usize>)>,
    /// The rationales of the training set.
    pub training_rationales: Option<&'o TrainingRationales>,
    /// Paraphrased and negated questions, and the answers of each model to them.
    pub variants: Option<(&'o VariantQuestions, Vec<Vec<CollectedAnswers>>)>,
    /// Dialogues, and how each of the first models held them.
    pub dialogues: Option<(&'o [Dialogue], Vec<Vec<HeldDialogue>>)>,
}
