//! The answer as a value, and the strict reading of an answer's text.

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use verdict_data::{Label, sentences};

/// How much of an answer is written, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The model writes what it likes, up to an end-of-text, a new line or the limit.
    Free,
    /// The grammar admits only well-formed answers.
    Guaranteed,
    /// Nothing is written: the label and its probabilities come from the prompt's own pass.
    Label,
}

impl Mode {
    /// The modes that write, in the order of tables.
    pub const WRITTEN: [Mode; 2] = [Mode::Free, Mode::Guaranteed];

    /// The name in tables and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Free => "free",
            Mode::Guaranteed => "guaranteed",
            Mode::Label => "label",
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One answered question. Serialises to the object that `--json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The question as it was asked.
    pub question: String,
    /// The answer's label; none where a free-running answer does not have the format.
    pub label: Option<Label>,
    /// Probabilities of the three labels among themselves, by all their tokens, in the order
    /// of [`Label::ALL`]. In JSON an object with the labels' words as keys.
    #[serde(with = "by_label")]
    pub probabilities: [f32; 3],
    /// Probability that the model gave to other beginnings of an answer, 0 to 1. Above 0.5 it would
    /// rather have said something else than any of the labels.
    pub other: f32,
    /// The rationale; none where a free-running answer does not have the format.
    pub rationale: Option<String>,
    /// The whole answer, without blanks at its ends; empty where none was written.
    pub answer: String,
    /// Name of the adapter; none for the base model.
    pub adapter: Option<String>,
    /// How the answer was written.
    pub mode: Mode,
    /// The label that the answer's first word names, in whatever case and with whatever after it, where the
    /// answer has no other form; none where it names none, or where nothing was written.
    #[serde(default)]
    pub first_word: Option<Label>,
    /// Whether the rationale is the fixed sentence that stands where the model wrote no usable one.
    #[serde(default)]
    pub fallback: bool,
    /// Whether the answer has the format: see [`parse_answer`]. An answer that was not written has none.
    pub format_ok: bool,
    /// Tokens of the answer, without the end-of-text.
    pub tokens: usize,
    /// Milliseconds from the question's entry into a batch to its last token.
    pub latency_ms: f64,
}

/// The parts of a well-formed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The label.
    pub label: Label,
    /// The rationale, one sentence with its end mark.
    pub rationale: String,
}

/// Reads an answer strictly: `{Label}. Rationale: {one sentence}`, the label one of the three words
/// as they are written, one blank after each full stop and colon, the sentence on one line, with
/// an end mark, and followed by nothing. Blanks around the whole are allowed. `None` otherwise.
pub fn parse_answer(answer: &str) -> Option<Parsed> {
    let answer = answer.trim_matches(' ');
    let (label, rationale) = Label::ALL.into_iter().find_map(|label| {
        let rest = answer
            .strip_prefix(label.as_str())?
            .strip_prefix(". Rationale: ")?;
        Some((label, rest))
    })?;
    let bare = rationale.trim_end_matches(['"', '\'', '”', '’', ')', ']']);
    let well_formed = !rationale.starts_with(char::is_whitespace)
        && !rationale.contains(|c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}')
        && bare.ends_with(['.', '!', '?'])
        && bare.contains(char::is_alphanumeric)
        && sentences(rationale).count() == 1;
    well_formed.then(|| Parsed {
        label,
        rationale: rationale.to_owned(),
    })
}

/// The label that a text's first word names, whatever its case and what follows it: `yes, because …`.
pub fn first_word(answer: &str) -> Option<Label> {
    let start = answer.trim_start_matches(|c: char| !c.is_alphanumeric());
    let end = start.find(|c: char| !c.is_alphanumeric());
    let word = &start[..end.unwrap_or(start.len())];
    let named = |label: &Label| label.as_str().eq_ignore_ascii_case(word);
    Label::ALL.into_iter().find(named)
}

/// Three numbers as an object with the labels' words as keys.
mod by_label {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        values: &[f32; 3],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        for label in Label::ALL {
            map.serialize_entry(label.as_str(), &values[label.index()])?;
        }
        map.end()
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[f32; 3], D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(non_snake_case)]
        struct Words {
            Yes: f32,
            No: f32,
            Uncertain: f32,
        }
        let words = Words::deserialize(deserializer)?;
        Ok([words.Yes, words.No, words.Uncertain])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_well_formed_answers() {
        for (text, label) in [
            (
                "Yes. Rationale: It lowers the risk (RR 0.85 vs. placebo).",
                Label::Yes,
            ),
            (" No. Rationale: Does it help at all?", Label::No),
            (
                "Uncertain. Rationale: Trials disagree (see above.)",
                Label::Uncertain,
            ),
        ] {
            let parsed = parse_answer(text).unwrap_or_else(|| panic!("{text:?}"));
            assert_eq!(parsed.label, label);
            assert_eq!(
                format!("{label}. Rationale: {}", parsed.rationale),
                text.trim()
            );
        }
        for text in [
            "",
            "Yes",
            "yes. Rationale: It lowers the risk.",
            "Maybe. Rationale: It lowers the risk.",
            "Yes, Rationale: It lowers the risk.",
            "Yes. rationale: It lowers the risk.",
            "Yes. Rationale:It lowers the risk.",
            "Yes. Rationale:  It lowers the risk.",
            "Yes. Rationale: ",
            "Yes. Rationale: .",
            "Yes. Rationale: It lowers the risk",
            "Yes. Rationale: It lowers the risk. It is safe.",
            "Yes. Rationale: It lowers\nthe risk.",
            "A: Yes. Rationale: It lowers the risk.",
        ] {
            assert_eq!(parse_answer(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_first_word_names_a_label_in_any_form() {
        for (text, label) in [
            ("Yes. Rationale: It does.", Some(Label::Yes)),
            (" no, it does not", Some(Label::No)),
            ("**UNCERTAIN**: trials differ", Some(Label::Uncertain)),
            ("Yes", Some(Label::Yes)),
            ("Yesterday it did.", None),
            ("Not at all.", None),
            ("It does. Yes.", None),
            ("", None),
        ] {
            assert_eq!(first_word(text), label, "{text:?}");
        }
    }

    #[test]
    fn json_has_the_words_of_the_contract() {
        let verdict = Verdict {
            question: "Does it help?".into(),
            label: Some(Label::No),
            probabilities: [0.25, 0.5, 0.25],
            other: 0.125,
            rationale: Some("It does not help.".into()),
            answer: "No. Rationale: It does not help.".into(),
            adapter: None,
            mode: Mode::Guaranteed,
            first_word: Some(Label::No),
            fallback: false,
            format_ok: true,
            tokens: 9,
            latency_ms: 12.5,
        };
        let json = serde_json::to_string(&verdict).unwrap();
        assert_eq!(
            json,
            r#"{"question":"Does it help?","label":"No","probabilities":{"Yes":0.25,"No":0.5,"Uncertain":0.25},"other":0.125,"rationale":"It does not help.","answer":"No. Rationale: It does not help.","adapter":null,"mode":"guaranteed","first_word":"No","fallback":false,"format_ok":true,"tokens":9,"latency_ms":12.5}"#
        );
        assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), verdict);
    }
}
