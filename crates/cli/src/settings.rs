//! Typed arguments to settings: a command's flags laid over the keys of a settings file (`--config`) or of an earlier run.
//! The flags' own structure is the file's too, so a key is a flag's name with underscores.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};
use verdict_common::settings_file;

use crate::aliases;
use crate::failure::{Failure, Result};
use crate::foreign;

/// Reads a settings file. `check` is given one key at a time, in a table of its own; other names of keys are replaced by the names that settings
/// are stored under.
///
/// # Errors
/// A file that cannot be read or is no TOML; all keys that are unknown or have values of the wrong type, each with its
/// line.
pub fn read(
    path: &Path,
    check: impl Fn(Table) -> std::result::Result<(), toml::de::Error>,
) -> Result<Table> {
    let text = verdict_data::read_text(path)?;
    settings_file::read(&text, aliases::key, check).map_err(|faults| {
        let hints = faults
            .iter()
            .filter_map(|fault| foreign::tip(&format!("--{}", fault.key.as_deref()?)));
        let hints: Vec<String> = hints.collect();
        let place = |fault| format!("{}, {fault}", path.display());
        let faults = Failure::faults(faults.iter().map(place).collect());
        hints.into_iter().fold(faults, Failure::hint)
    })
}

/// Flags, or settings, that were given, by the keys that they are stored under.
///
/// # Errors
/// What TOML cannot hold, such as a number over 63 bits.
pub fn given(flags: &impl Serialize) -> Result<Table> {
    let mut flags = Table::try_from(flags).map_err(unfit)?;
    flags.retain(|_, value| value.as_table().is_none_or(|table| !table.is_empty()));
    Ok(flags)
}

/// Flags laid over the keys of a file. Tables are merged.
///
/// # Errors
/// What does not make a `T` together.
pub fn lay_over<T: DeserializeOwned>(mut base: Table, flags: Table) -> Result<T> {
    for (key, value) in flags {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => under.extend(over),
            (_, value) => drop(base.insert(key, value)),
        }
    }
    T::deserialize(base).map_err(unfit)
}

fn unfit(fault: impl std::fmt::Display) -> Failure {
    Failure::input(format!("settings: {fault}"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Flags {
        #[serde(deserialize_with = "settings_file::some_one_or_many")]
        rank: Option<Vec<usize>>,
        epochs: Option<f64>,
        out: Option<String>,
    }

    fn keys(path: &Path) -> Result<Table> {
        read(path, |key| Flags::deserialize(key).map(drop))
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = file("lora_r = 4\nepochs = 2\nout = \"a\"\n");
        let flags = Flags {
            rank: Some(vec![8, 16]),
            ..Flags::default()
        };
        let base = keys(file.path()).expect("good");
        let settings: Flags = lay_over(base, given(&flags).expect("plain")).expect("good");
        let expected = Flags {
            rank: Some(vec![8, 16]),
            epochs: Some(2.0),
            out: Some("a".into()),
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let file = file("\u{feff}epochs = 2\n");
        assert_eq!(keys(file.path()).expect("good").len(), 1);
        std::fs::write(file.path(), b"\xff\xfee\0").expect("written");
        let failure = keys(file.path()).expect_err("UTF-16");
        assert!(
            failure.faults[0].contains("found UTF-16LE"),
            "{:?}",
            failure.faults
        );
    }

    #[test]
    fn all_faults_of_a_file_have_their_lines_and_keys_of_other_tools_a_hint() {
        let file = file("out = \"a\"\nrnak = [4]\nepochs = \"many\"\ntarget_modules = \"all\"\n");
        let failure = keys(file.path()).expect_err("three faults");
        let path = file.path().display().to_string();
        let faults = failure.faults.iter().map(|f| f.replace(&path, "FILE"));
        assert_eq!(
            faults.collect::<Vec<_>>(),
            [
                "FILE, line 2: rnak: unknown key, did you mean `rank`?",
                "FILE, line 3: epochs: invalid type: string \"many\", expected a number",
                "FILE, line 4: target_modules: unknown key",
            ]
        );
        assert!(
            failure.hints[0].contains("all seven linear modules"),
            "{:?}",
            failure.hints
        );
    }
}
