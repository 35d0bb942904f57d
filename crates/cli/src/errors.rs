//! The errors of the libraries as failures of a command: text, hints and exit status.

use std::fmt::Display;

use verdict_answer::AnswerError;
use verdict_answer::labels::LabelError;
use verdict_answer::prompt::PromptError;
use verdict_eval::EvalError;
use verdict_model::GpuError;
use verdict_train::Fault;

use crate::aliases;
use crate::failure::{Failure, Status};
use crate::hub;

/// The flag of a setting.
fn flag(key: &str) -> String {
    match key.strip_prefix("slurm.") {
        Some("options") => "sbatch-option".to_owned(),
        own => aliases::flag(own.unwrap_or(key)),
    }
}

impl From<verdict_data::Error> for Failure {
    fn from(error: verdict_data::Error) -> Self {
        use verdict_data::Error as Data;
        // Hints that name flags belong here; the library has no flags.
        let hint = match &error {
            Data::NotEmpty { .. } => {
                Some("choose another --out, or add --overwrite to replace a data set")
            }
            Data::EmptyClass { .. } => Some(
                "add a source that has the class (pubmedqa-labeled has all three), or add --unbalanced",
            ),
            Data::TooFewRows { .. } => Some(
                "ask for fewer rows with --per-class, take as many as there are with --max-per-class, or add a source",
            ),
            Data::EmptySplit { .. } => Some(
                "add rows, or rows that are not tied to others (the same or nearly the same question, rationale, abstract or group ties them), or add --allow-empty-splits",
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
        let failure = Failure::from_error(&error);
        let status = match gpu(&error) {
            None | Some(GpuError::Missing(_)) => failure.status,
            Some(_) => Status::Failed,
        };
        with_hint(Failure { status, ..failure }, gpu_hint(&error))
    }
}

impl From<hub::Error> for Failure {
    fn from(error: hub::Error) -> Self {
        let failure = Failure::from_error(&error);
        let status = match &error {
            hub::Error::NoCacheFolder
            | hub::Error::UnknownModel { .. }
            | hub::Error::NoSuchPath { .. }
            | hub::Error::NoModelInRepo { .. }
            | hub::Error::NoDataInRepo { .. } => Status::Input,
            hub::Error::Io { .. } => failure.status,
            _ => Status::Failed,
        };
        with_hint(Failure { status, ..failure }, error.hint())
    }
}

impl From<verdict_evidence::Error> for Failure {
    fn from(error: verdict_evidence::Error) -> Self {
        let mut failure = Failure::from_error(&error);
        if let verdict_evidence::Error::IndexSetting { .. } = &error {
            failure.faults[0].insert_str(0, "--");
        }
        let status = match &error {
            // The engine's own errors are of files that it cannot write or read; what is no index was found before.
            verdict_evidence::Error::Engine { .. } => Status::Failed,
            _ => failure.status,
        };
        with_hint(Failure { status, ..failure }, error.hint())
    }
}

impl From<verdict_watch::Error> for Failure {
    fn from(error: verdict_watch::Error) -> Self {
        with_hint(Failure::from_error(&error), error.hint())
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
            // The engine failed, not the question.
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
        let hint = error.hint().or_else(|| gpu_hint(&error).map(str::to_owned));
        let mut failure = match &error {
            // One line for each fault instead of one for all.
            Train::Settings { origin, faults } => {
                let named = |fault: &Fault| match origin.as_str() {
                    "settings" => format!("--{}: {}", flag(&fault.key), fault.text),
                    file => format!("{file}: {fault}"),
                };
                Failure::faults(faults.iter().map(named).collect())
            }
            Train::Shards { path, faults } => {
                let named = |fault: &String| format!("{}: {fault}", path.display());
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

/// The error of a GPU among the sources of another error.
fn gpu<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e GpuError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(gpu) = error.downcast_ref::<GpuError>() {
            return Some(gpu);
        }
        // A transparent error skips itself among its sources.
        if let Some(verdict_model::Error::Gpu(gpu)) = error.downcast_ref() {
            return Some(gpu);
        }
        next = error.source();
    }
    None
}

/// A hint for the error of a GPU.
fn gpu_hint(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    match gpu(error)? {
        GpuError::Missing(_) => Some("`verdict doctor` shows what was searched for, and where"),
        GpuError::OutOfMemory { .. } => {
            Some("use fewer --micro-batch-tokens, a smaller --base, or fewer adapters at once")
        }
        _ => None,
    }
}

fn with_hint(failure: Failure, hint: Option<impl Display>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> verdict_model::Error {
        verdict_model::Error::Gpu(GpuError::OutOfMemory {
            ordinal: 1,
            wanted: 1 << 30,
            held: 79 << 30,
            limit: 80 << 30,
            budget: false,
        })
    }

    #[test]
    fn a_full_gpu_is_no_fault_of_the_input_and_has_a_hint() {
        let training = verdict_train::Error::Engine {
            doing: "training step 1".into(),
            source: full().into(),
        };
        for failure in [Failure::from(full()), Failure::from(training)] {
            assert_eq!(failure.status, Status::Failed);
            assert!(
                failure.faults[0].contains("GPU 1: out of memory"),
                "{failure:?}"
            );
            assert!(
                failure.hints[0].contains("--micro-batch-tokens"),
                "{failure:?}"
            );
        }
    }

    #[test]
    fn a_gpu_that_is_not_there_is_wrong_input() {
        let missing = verdict_model::Error::Gpu(GpuError::Missing("no driver".into()));
        let failure = Failure::from(missing);
        assert_eq!(failure.status, Status::Input);
        assert!(failure.hints[0].contains("verdict doctor"), "{failure:?}");
    }
}
