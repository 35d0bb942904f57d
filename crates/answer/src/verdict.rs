//! The answer as a value, and the strict parser of an answer's text.

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use verdict_data::{Label, sentences};

/// How an answer is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Unconstrained decoding, up to an end-of-text token, a line break or the maximum number of new tokens.
    Free,
    /// Constrained decoding: the grammar admits only format-valid answers.
    Guaranteed,
    /// No text: label and probabilities alone.
    Label,
}

impl Mode {
    /// The modes that generate text, in the order of tables.
    pub const WRITTEN: [Mode; 2] = [Mode::Free, Mode::Guaranteed];

    /// The name in tables and messages.
    pub fn describe(self) -> &'static str {
        match self {
            Mode::Free => "unconstrained",
            Mode::Guaranteed => "constrained",
            Mode::Label => "label only",
        }
    }
}

/// The answer to one question. Serializes to the object that `--json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The question.
    pub question: String,
    /// The label; `None` where an unconstrained answer is not format-valid.
    pub label: Option<Label>,
    /// Probabilities of the three labels, normalized among them, in the order of [`Label::ALL`]. In JSON an object with
    /// the labels as keys.
    #[serde(with = "by_label")]
    pub probabilities: [f32; 3],
    /// Probability that an answer begins with none of the labels, 0 to 1.
    pub other: f32,
    /// The rationale; `None` where an unconstrained answer is not format-valid.
    pub rationale: Option<String>,
    /// The whole answer, trimmed; empty in [`Mode::Label`].
    pub answer: String,
    /// Name of the adapter; `None` for the base model.
    pub adapter: Option<String>,
    /// How the answer was decoded.
    pub mode: Mode,
    /// The label that the first word names, in any case and whatever follows it; `None` where it names none.
    #[serde(default)]
    pub first_word: Option<Label>,
    /// Whether the rationale is the fallback, the fixed sentence that replaces an unusable one.
    #[serde(default)]
    pub fallback: bool,
    /// Whether the answer is format-valid: see [`parse_answer`]. False in [`Mode::Label`].
    pub format_ok: bool,
    /// Number of tokens of the answer, without the end-of-text token.
    pub tokens: usize,
    /// Milliseconds from the prompt's admission to the batch to the last token.
    pub latency_ms: f64,
}

/// The parts of a format-valid answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The label.
    pub label: Label,
    /// The rationale, one sentence with its end mark.
    pub rationale: String,
}

/// Parses an answer strictly: `{Label}. Rationale: {one sentence}`, with the label spelled exactly, one space after each
/// full stop and colon, and the sentence on one line, ended by a full stop, question mark or exclamation mark and
/// followed by nothing. Spaces around the whole are allowed. `None` where the answer is not format-valid.
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

/// The label that the first word of a text names, in any case and whatever follows it: `yes, because …`.
pub fn first_word(answer: &str) -> Option<Label> {
    let start = answer.trim_start_matches(|c: char| !c.is_alphanumeric());
    let end = start.find(|c: char| !c.is_alphanumeric());
    let word = &start[..end.unwrap_or(start.len())];
    let named = |label: &Label| label.as_str().eq_ignore_ascii_case(word);
    Label::ALL.into_iter().find(named)
}

/// Three numbers as an object with the labels as keys.
pub(crate) mod by_label {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        values: &[f32; 3],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        for label in Label::ALL {
            map.serialize_entry(label.as_str(), &values[label.index()])?;
        }
        map.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
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
    fn only_format_valid_answers_are_parsed() {
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
    fn the_first_word_names_a_label_in_any_case() {
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
    fn json_has_the_documented_fields() {
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
