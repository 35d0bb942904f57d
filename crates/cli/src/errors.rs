//! The libraries' errors as failures of a command: their text, their hints, whose fault it was.

use std::fmt::Display;

use verdict_answer::AnswerError;
use verdict_answer::labels::LabelError;
use verdict_answer::prompt::PromptError;
use verdict_eval::EvalError;
use verdict_train::Fault;

use crate::failure::{Failure, Status};
use crate::models;

impl From<verdict_data::Error> for Failure {
    fn from(error: verdict_data::Error) -> Self {
        use verdict_data::Error as Data;
        // Where a flag helps, its name.
        let hint = match &error {
            Data::NotEmpty { .. } => {
                Some("choose another --out, or add --overwrite to replace a data set")
            }
            Data::EmptyClass { .. } => Some(
                "add a source that has the class (pubmedqa-labeled has all three), or add --natural",
            ),
            other => other.hint(),
        };
        with_hint(Failure::from_error(&error), hint)
    }
}

impl From<verdict_formats::Error> for Failure {
    fn from(error: verdict_formats::Error) -> Self {
        Failure::from_error(&error)
    }
}

impl From<verdict_model::Error> for Failure {
    fn from(error: verdict_model::Error) -> Self {
        Failure::from_error(&error)
    }
}

impl From<models::Error> for Failure {
    fn from(error: models::Error) -> Self {
        let failure = Failure::from_error(&error);
        let status = match &error {
            models::Error::NoCacheFolder
            | models::Error::UnknownModel { .. }
            | models::Error::NoSuchPath { .. }
            | models::Error::NoModelInRepo { .. } => Status::Input,
            models::Error::Io { .. } => failure.status,
            _ => Status::Failed,
        };
        with_hint(Failure { status, ..failure }, error.hint())
    }
}

impl From<LabelError> for Failure {
    fn from(error: LabelError) -> Self {
        Failure::from_error(&error)
    }
}

impl From<PromptError> for Failure {
    fn from(error: PromptError) -> Self {
        Failure::from_error(&error)
    }
}

impl From<AnswerError> for Failure {
    fn from(error: AnswerError) -> Self {
        let failure = Failure::from_error(&error);
        match &error {
            // The model's own trouble is no fault of the question.
            AnswerError::Engine(_) => Failure {
                status: Status::Failed,
                ..failure
            },
            _ => failure,
        }
    }
}

impl From<EvalError> for Failure {
    fn from(error: EvalError) -> Self {
        let failure = Failure::from_error(&error);
        match &error {
            EvalError::Answer(AnswerError::Engine(_)) => Failure {
                status: Status::Failed,
                ..failure
            },
            _ => failure,
        }
    }
}

impl From<verdict_train::Error> for Failure {
    fn from(error: verdict_train::Error) -> Self {
        use verdict_train::Error as Train;
        let hint = error.hint();
        let mut failure = match &error {
            // One line for each fault instead of one for all.
            Train::Settings { origin, faults } => {
                let named = |fault: &Fault| match origin.as_str() {
                    "settings" => format!("--{}: {}", fault.key.replace('_', "-"), fault.text),
                    file => format!("{file}: {fault}"),
                };
                Failure::faults(faults.iter().map(named).collect())
            }
            other => Failure::from_error(other),
        };
        failure.status = match &error {
            Train::Interrupted { .. } => Status::Interrupted,
            _ if error.is_usage() => Status::Input,
            Train::Io { .. } => failure.status,
            _ => Status::Failed,
        };
        with_hint(failure, hint)
    }
}

fn with_hint(failure: Failure, hint: Option<impl Display>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
