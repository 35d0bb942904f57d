//! The rules by which rows are cleaned: those of `rules.toml`, or of a file of the user's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde::Deserialize;
use verdict_common::settings_file;

use crate::citations::detector::Citations;
use crate::citations::kind::Kind;
use crate::citations::place::Spared;
use crate::encoding::read_text;
use crate::{Error, Result};

/// The built-in rules, as text.
pub const BUILT_IN: &str = include_str!("rules.toml");

/// A set of rules. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The file they were read from; none for the built-in ones.
    text: Option<Arc<str>>,
    pub(crate) question_words: usize,
    pub(crate) rationale_words: usize,
    /// Mark-up, and what replaces it.
    pub(crate) markup: Vec<(Regex, String)>,
    pub(crate) citations: Arc<Citations>,
    pub(crate) lead_in: Regex,
    pub(crate) study_speak: Vec<Regex>,
    pub(crate) label_words: Vec<Regex>,
}

impl PartialEq for Rules {
    fn eq(&self, other: &Rules) -> bool {
        self.text == other.text
    }
}

impl Eq for Rules {}

impl Default for Rules {
    fn default() -> Rules {
        built_in().clone()
    }
}

static RULES: LazyLock<Rules> =
    LazyLock::new(|| Rules::parse(Path::new("rules.toml"), BUILT_IN).expect("the built-in rules"));

/// The rules that are compiled in.
pub(crate) fn built_in() -> &'static Rules {
    &RULES
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    limits: Limits,
    markup: Markup,
    citations: CitationRules,
    answers: Answers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    question_words: usize,
    rationale_words: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Markup {
    #[serde(default)]
    parts: BTreeMap<String, String>,
    replace: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CitationRules {
    quick: Option<String>,
    lead_up: Vec<String>,
    #[serde(default)]
    parts: BTreeMap<String, String>,
    spared: Spared,
    patterns: BTreeMap<Kind, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answers {
    #[serde(default)]
    parts: BTreeMap<String, String>,
    lead_in: String,
    study_speak: Vec<String>,
    label_words: Vec<String>,
}

/// Bytes of a pattern with all its parts in place, at most.
const LONGEST: usize = 1 << 20;

impl Rules {
    /// Reads a file in the layout of the built-in one.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Rules`] with the key and what is wrong with it.
    pub fn read(path: impl AsRef<Path>) -> Result<Rules> {
        let path = path.as_ref();
        let text = read_text(path)?;
        Rules::from_text(path, &text)
    }

    /// Of a text that was read before, with a name for errors.
    pub(crate) fn from_text(path: &Path, text: &str) -> Result<Rules> {
        let mut rules = Rules::parse(path, text)?;
        rules.text = (text != BUILT_IN).then(|| text.into());
        Ok(rules)
    }

    /// The file they were read from; none for the built-in ones.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    fn parse(path: &Path, text: &str) -> Result<Rules> {
        let fault = |place: String, message: String| Error::Rules {
            path: path.to_owned(),
            place,
            message,
        };
        let file: File = settings_file::parse(text)
            .map_err(|found| fault(format!("line {}", found.line), found.text))?;
        let regex = |place: &str, pattern: &str| {
            // The engine's message draws the pattern over several lines; its last line says what is wrong.
            let last = |error: regex::Error| {
                error
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .to_owned()
            };
            let at = format!("{place}: {pattern:?}");
            Regex::new(pattern).map_err(|error| fault(at, last(error)))
        };
        let regex_of = |place: &str, pattern: &str, parts: &BTreeMap<String, String>| {
            let text = expand(pattern, parts)
                .map_err(|message| fault(format!("{place}: {pattern:?}"), message))?;
            regex(place, &text)
        };
        let all = |place: &str, patterns: &[String], parts: &BTreeMap<String, String>| {
            let regexes = patterns.iter();
            let regexes = regexes.map(|pattern| regex_of(place, pattern, parts));
            regexes.collect::<Result<Vec<Regex>>>()
        };
        let lead_in = regex("answers.lead_in", &file.answers.lead_in)?;
        if lead_in.captures_len() < 2 {
            let message = "expected a group around the label word, found none";
            return Err(fault("answers.lead_in".into(), message.into()));
        }
        let markup = file.markup.replace.into_iter();
        let markup = markup.map(|(from, to)| {
            let from = regex_of("markup.replace", &from, &file.markup.parts)?;
            Ok((from, to))
        });
        let mut patterns = Vec::new();
        for (kind, texts) in file.citations.patterns {
            for text in texts {
                let pattern = regex_of("citations.patterns", &text, &file.citations.parts)?;
                patterns.push((kind, pattern));
            }
        }
        let parts = &file.answers.parts;
        let quick = file.citations.quick.as_deref();
        let quick = quick.map(|quick| regex("citations.quick", quick));
        Ok(Rules {
            text: None,
            question_words: file.limits.question_words,
            rationale_words: file.limits.rationale_words,
            markup: markup.collect::<Result<_>>()?,
            citations: Arc::new(Citations::new(
                patterns,
                quick.transpose()?,
                &file.citations.lead_up,
                file.citations.spared,
            )),
            lead_in,
            study_speak: all("answers.study_speak", &file.answers.study_speak, parts)?,
            label_words: all("answers.label_words", &file.answers.label_words, parts)?,
        })
    }
}

/// A pattern with its parts in place of their names in braces. Parts may have parts, but none may contain itself, and
/// the whole may not be longer than [`LONGEST`].
///
/// # Errors
/// What is wrong with the parts.
fn expand(pattern: &str, parts: &BTreeMap<String, String>) -> std::result::Result<String, String> {
    let mut text = pattern.to_owned();
    // Parts within parts are at most as deep as there are parts.
    for _ in 0..=parts.len() {
        if !parts
            .keys()
            .any(|name| text.contains(&format!("{{{name}}}")))
        {
            return Ok(text);
        }
        for (name, part) in parts {
            text = text.replace(&format!("{{{name}}}"), part);
            if text.len() > LONGEST {
                return Err(format!(
                    "expected at most {LONGEST} bytes with all parts in place, found more, by part {name:?}"
                ));
            }
        }
    }
    let circular = parts
        .keys()
        .find(|name| text.contains(&format!("{{{name}}}")));
    match circular {
        Some(name) => Err(format!(
            "expected parts that do not contain themselves, found {name:?}, which does"
        )),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{BUILT_IN, Rules};

    fn error(text: &str) -> String {
        Rules::from_text(Path::new("r.toml"), text)
            .expect_err("refused")
            .to_string()
    }

    #[test]
    fn the_built_in_rules_are_those_of_the_file_and_another_text_is_kept() {
        let rules = Rules::from_text(Path::new("r.toml"), BUILT_IN).expect("good");
        assert_eq!(rules, Rules::default());
        assert_eq!(rules.text(), None);
        let other = BUILT_IN.replace("question_words = 3", "question_words = 5");
        let rules = Rules::from_text(Path::new("r.toml"), &other).expect("good");
        assert_eq!((rules.question_words, rules.text()), (5, Some(&*other)));
        assert_ne!(rules, Rules::default());
    }

    #[test]
    fn faults_name_file_place_and_what_is_wrong() {
        assert_eq!(
            error(&BUILT_IN.replace("question_words = 3 ", "question_words = \"x\"")),
            "r.toml: line 5: invalid type: string \"x\", expected a whole number from 0"
        );
        assert!(error("[limits]\n").starts_with("r.toml: line 1: missing field"));
        let broken = BUILT_IN.replace("quick = '(?i)", "quick = '(");
        let text = error(&broken);
        assert!(text.starts_with("r.toml: citations.quick: \"("), "{text}");
        assert!(text.ends_with("unclosed group"), "{text}");
        // Doubled with each round, so that without a bound there is no end to it.
        for year in ["{year}{year}", "{circle}"] {
            let circular = BUILT_IN.replace(
                "years = '",
                &format!("circle = '{{year}}'\nyears = '{year}"),
            );
            let circular = circular.replace("\nyear = '", "\nyear = '{circle}");
            let text = error(&circular);
            assert!(text.starts_with("r.toml: citations.patterns: "), "{text}");
            assert!(
                text.contains("expected parts that do not contain themselves, found "),
                "{text}"
            );
        }
        let groupless = BUILT_IN.replace("(yes|no|maybe|uncertain)\\b\n", "(?:yes|no)\\b\n");
        assert_eq!(
            error(&groupless),
            "r.toml: answers.lead_in: expected a group around the label word, found none"
        );
    }
}
