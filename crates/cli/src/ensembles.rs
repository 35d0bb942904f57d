//! The adapters of a run that `--ensemble` names.

use verdict_train::RunFolder;

use crate::failure::{Failure, Result};

/// An ensemble as `--ensemble` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedEnsemble {
    /// `ensemble-of-all`, or the names with `+` between them.
    pub name: String,
    /// Names of the adapters.
    pub members: Vec<String>,
}

impl NamedEnsemble {
    /// The ensemble of `all` adapters of a run, or of those with commas between their names.
    ///
    /// # Errors
    /// Fewer than two adapters, a name twice, or one that the run does not have.
    pub fn of(run: &RunFolder, text: &str) -> Result<NamedEnsemble> {
        let members: Vec<String> = match text {
            "all" => run.names().into_iter().map(str::to_owned).collect(),
            names => names
                .split(',')
                .map(|name| name.trim().to_owned())
                .collect(),
        };
        if members.len() < 2 {
            return Err(Failure::input(format!(
                "--ensemble {text}: expected at least two adapters, found {}",
                members.len()
            )));
        }
        for (place, name) in members.iter().enumerate() {
            run.record(name)?;
            if members[..place].contains(name) {
                return Err(Failure::input(format!(
                    "--ensemble {text}: expected each adapter once, found {name} twice"
                )));
            }
        }
        let name = match text {
            "all" => "ensemble-of-all".to_owned(),
            _ => members.join("+"),
        };
        Ok(NamedEnsemble { name, members })
    }
}
