//! Settings files (TOML). The keys are read one by one, so that one fault does not hide the next, and each fault has
//! its line.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use toml::{Spanned, Table, Value};

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where, from 1.
    pub line: usize,
    /// The key, as it is written; none where the file is no TOML.
    pub key: Option<String>,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "line {}: {key}: {}", self.line, self.text),
            None => write!(f, "line {}: {}", self.line, self.text),
        }
    }
}

/// Reads a whole file into `T`; stops at the first fault.
///
/// # Errors
/// Text that is no TOML, or not a `T`.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    toml::from_str(text).map_err(|error| Fault {
        line: error.span().map_or(1, |span| line(text, span.start)),
        key: None,
        text: one_line(&error),
    })
}

/// Reads the top-level keys of a file. `canonical` gives the name of a key that has another; `check` is given one key after
/// the other, in a table of its own.
///
/// # Errors
/// Every fault: text that is no TOML, keys that fail the check, a key under two names.
pub fn read(
    text: &str,
    canonical: impl Fn(&str) -> Option<&'static str>,
    check: impl Fn(Table) -> Result<(), toml::de::Error>,
) -> Result<Table, Vec<Fault>> {
    let entries: BTreeMap<Spanned<String>, Spanned<Value>> =
        parse(text).map_err(|fault| vec![not_toml(fault)])?;
    let mut faults = Vec::new();
    let mut table = Table::new();
    for (key, value) in entries {
        let line = line(text, key.span().start);
        let (written, value) = (key.into_inner(), value.into_inner());
        let key = canonical(&written).unwrap_or(&written).to_owned();
        let fault = match check(Table::from_iter([(key.clone(), value.clone())])) {
            Err(error) => Some(described(&written, &error)),
            Ok(()) if table.contains_key(&key) => {
                Some(format!("expected `{key}` once, found it under two names"))
            }
            Ok(()) => None,
        };
        match fault {
            Some(text) => faults.push(Fault {
                line,
                key: Some(written),
                text,
            }),
            None => drop(table.insert(key, value)),
        }
    }
    faults.sort();
    match faults.is_empty() {
        true => Ok(table),
        false => Err(faults),
    }
}

fn not_toml(fault: Fault) -> Fault {
    Fault {
        text: format!("not TOML: {}", fault.text),
        ..fault
    }
}

/// What is wrong with one key. serde lists every known key beside an unknown one; the nearest of them is enough.
fn described(key: &str, error: &toml::de::Error) -> String {
    let text = one_line(error);
    if !text.starts_with("unknown field") {
        return text;
    }
    let known = text
        .split_once("expected")
        .map_or("", |(_, known)| known)
        .split('`');
    let known = known.skip(1).step_by(2);
    match nearest(&key.replace('-', "_"), known) {
        Some(known) => format!("unknown key, did you mean `{known}`?"),
        None => "unknown key".to_owned(),
    }
}

/// The name that was probably meant.
pub fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let score = |known: &&'k str| strsim::jaro_winkler(name, known);
    known
        .filter(|known| score(known) > 0.8)
        .max_by(|a, b| score(a).total_cmp(&score(b)))
}

/// The message without the picture of the file, with names of types that are not Rust's.
fn one_line(error: &toml::de::Error) -> String {
    let words: Vec<&str> = error.message().split_whitespace().collect();
    let text = words.join(" ");
    for (rust, plain) in [
        ("expected usize", "expected a whole number from 0"),
        ("expected u64", "expected a whole number from 0"),
        ("expected f64", "expected a number"),
    ] {
        if let Some(start) = text.strip_suffix(rust) {
            return format!("{start}{plain}");
        }
    }
    text
}

fn line(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// One value or a list of them (`rank = 16`, `rank = [4, 8]`), for `deserialize_with`.
///
/// # Errors
/// A value of the wrong type.
pub fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: DeserializeOwned,
{
    let values = match Value::deserialize(deserializer)? {
        Value::Array(values) => values,
        one => vec![one],
    };
    let read = |value: Value| T::deserialize(value).map_err(serde::de::Error::custom);
    values.into_iter().map(read).collect()
}

/// As [`one_or_many`], for a key that may be absent.
///
/// # Errors
/// A value of the wrong type.
pub fn some_one_or_many<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: DeserializeOwned,
{
    one_or_many(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        #[serde(deserialize_with = "one_or_many")]
        rank: Vec<usize>,
        epochs: Option<f64>,
        per_class: Option<usize>,
        out: Option<String>,
    }

    fn read(text: &str) -> Result<Table, Vec<Fault>> {
        let canonical = |key: &str| (key == "lora_r").then_some("rank");
        let check = |key: Table| Settings::deserialize(key).map(drop);
        super::read(text, canonical, check)
    }

    fn faults(text: &str) -> Vec<String> {
        let faults = read(text).expect_err("faults");
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_faults_are_found_with_their_lines() {
        assert_eq!(
            faults(
                "out = \"a\"\nranks = [4]\nepochs = \"many\"\nper-class = 3\nrank = -1\nzebra = 1\n"
            ),
            [
                "line 2: ranks: unknown key, did you mean `rank`?",
                "line 3: epochs: invalid type: string \"many\", expected a number",
                "line 4: per-class: unknown key, did you mean `per_class`?",
                "line 5: rank: invalid value: integer `-1`, expected a whole number from 0",
                "line 6: zebra: unknown key",
            ]
        );
        assert_eq!(
            faults("out = \"a\"\nrank = = 3\n"),
            ["line 2: not TOML: extra `=`, expected nothing"]
        );
    }

    #[test]
    fn a_key_may_have_other_names_but_stands_once() {
        let table = read("lora_r = 8\n").expect("good");
        let settings = Settings::deserialize(table).expect("good");
        assert_eq!(settings.rank, [8]);
        assert_eq!(
            faults("lora_r = 8\nrank = [4]\n"),
            ["line 2: rank: expected `rank` once, found it under two names"]
        );
    }

    #[test]
    fn a_whole_file_stops_at_its_first_fault() {
        let fault = parse::<Settings>("rank = 4\nepochs = \"x\"\n").expect_err("no number");
        assert_eq!(
            fault.to_string(),
            "line 2: invalid type: string \"x\", expected a number"
        );
        let settings: Settings = parse("rank = 4\n").expect("good");
        assert_eq!(settings.rank, [4]);
    }
}
