//! A command's settings: a TOML file (`--config`) and the flags over it. The flags' own structure is
//! the file's too, so a key is a flag's name with underscores. Unknown keys are refused and all
//! faults of a file are told at once, each with its line.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Spanned, Table, Value};

use crate::failure::{Failure, Result};

/// The flags laid over the file's keys. Every field of `T` is optional: what is absent stays absent.
pub fn resolve<T: Serialize + DeserializeOwned>(flags: T, config: Option<&Path>) -> Result<T> {
    let Some(path) = config else { return Ok(flags) };
    let text = verdict_data::read_text(path)?;
    let mut table = read::<T>(path, &text)?;
    let flags =
        Table::try_from(flags).map_err(|fault| Failure::failed(format!("flags: {fault}")))?;
    table.extend(flags);
    T::deserialize(table)
        .map_err(|fault| Failure::input(format!("{}: {}", path.display(), said(&fault))))
}

use serde::Deserialize as _;

/// The keys of a file, each tried on its own, so that one fault does not hide the next.
fn read<T: DeserializeOwned>(path: &Path, text: &str) -> Result<Table> {
    let place = |at: usize| {
        let line = text[..at.min(text.len())].matches('\n').count() + 1;
        format!("{}, line {line}", path.display())
    };
    let entries: BTreeMap<Spanned<String>, Spanned<Value>> =
        toml::from_str(text).map_err(|fault| {
            let at = fault.span().map_or(0, |span| span.start);
            Failure::input(format!("{}: not TOML: {}", place(at), said(&fault)))
        })?;
    let mut faults = Vec::new();
    let mut table = Table::new();
    for (key, value) in entries {
        let line = key.span().start;
        let (key, value) = (key.into_inner(), value.into_inner());
        let one = Table::from_iter([(key.clone(), value.clone())]);
        match T::deserialize(one) {
            Ok(_) => drop(table.insert(key, value)),
            Err(fault) => {
                let underscored = key.replace('-', "_");
                let one = Table::from_iter([(underscored.clone(), value)]);
                let meant = underscored != key && T::deserialize(one).is_ok();
                let fault = match meant {
                    true => format!(
                        "unknown key `{key}`: keys are the flags with underscores, `{underscored}`"
                    ),
                    false => said(&fault),
                };
                faults.push((line, fault));
            }
        }
    }
    if faults.is_empty() {
        return Ok(table);
    }
    faults.sort();
    Err(Failure::faults(
        faults
            .into_iter()
            .map(|(line, fault)| format!("{}: {fault}", place(line)))
            .collect(),
    ))
}

/// A TOML fault on one line, without the picture of the file.
fn said(fault: &toml::de::Error) -> String {
    fault
        .message()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// One value or a list of them, in a file as on the command line (`rank = 16`, `rank = [4, 8]`).
pub fn one_or_many<'de, D, T>(deserializer: D) -> std::result::Result<Option<Vec<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    let values = match value {
        Value::Array(values) => values,
        one => vec![one],
    };
    let read = |value: Value| T::deserialize(value).map_err(serde::de::Error::custom);
    values
        .into_iter()
        .map(read)
        .collect::<std::result::Result<_, _>>()
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Flags {
        #[serde(default, deserialize_with = "one_or_many")]
        rank: Option<Vec<usize>>,
        epochs: Option<f64>,
        out: Option<String>,
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = file("rank = 4\nepochs = 2\nout = \"a\"\n");
        let flags = Flags {
            rank: Some(vec![8, 16]),
            ..Flags::default()
        };
        let settings = resolve(flags, Some(file.path())).expect("good");
        let expected = Flags {
            rank: Some(vec![8, 16]),
            epochs: Some(2.0),
            out: Some("a".into()),
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn a_key_written_as_a_flag_is_told_how_it_is_written() {
        #[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Keys {
            per_class: Option<usize>,
        }
        let file = file("per-class = 3\n");
        let failure = resolve(Keys::default(), Some(file.path())).expect_err("a dash");
        assert!(
            failure.faults[0].ends_with("keys are the flags with underscores, `per_class`"),
            "{:?}",
            failure.faults
        );
    }

    #[test]
    fn a_byte_order_mark_is_read_past() {
        let file = file("\u{feff}epochs = 2\n");
        let settings = resolve(Flags::default(), Some(file.path())).expect("good");
        assert_eq!(settings.epochs, Some(2.0));
        std::fs::write(file.path(), b"\xff\xfee\0").expect("written");
        let failure = resolve(Flags::default(), Some(file.path())).expect_err("UTF-16");
        assert!(
            failure.faults[0].contains("found UTF-16LE"),
            "{:?}",
            failure.faults
        );
    }

    #[test]
    fn all_faults_of_a_file_are_told_with_their_lines() {
        let file = file("out = \"a\"\nranks = [4]\nepochs = \"many\"\n");
        let failure = resolve(Flags::default(), Some(file.path())).expect_err("two faults");
        let path = file.path().display().to_string();
        let faults: Vec<String> = failure
            .faults
            .iter()
            .map(|f| f.replace(&path, "FILE"))
            .collect();
        assert_eq!(
            faults,
            [
                "FILE, line 2: unknown field `ranks`, expected one of `rank`, `epochs`, `out`",
                "FILE, line 3: invalid type: string \"many\", expected f64",
            ]
        );
    }

    #[test]
    fn broken_toml_names_its_line() {
        let file = file("out = \"a\"\nrank = [4\n");
        let failure = resolve(Flags::default(), Some(file.path())).expect_err("no TOML");
        assert!(
            failure.faults[0].contains("not TOML"),
            "{:?}",
            failure.faults
        );
        assert!(
            failure.faults[0].contains(", line "),
            "{:?}",
            failure.faults
        );
    }
}
