//! The libraries' errors as failures of a command: their text, their hints, whose fault it was.

use crate::failure::Failure;

impl From<verdict_data::Error> for Failure {
    fn from(error: verdict_data::Error) -> Self {
        with_hint(Failure::from_error(&error), error.hint())
    }
}

fn with_hint(failure: Failure, hint: Option<impl std::fmt::Display>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
