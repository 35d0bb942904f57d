//! The three answers, and the one place that knows how sources write them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The class of an answer. Serialised as the words `Yes`, `No` and `Uncertain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Label {
    /// The evidence supports the question's claim.
    Yes,
    /// The evidence speaks against it.
    No,
    /// The evidence does not settle it.
    Uncertain,
}

impl Label {
    /// Every label, in the order that `index`, tables and probability vectors use.
    pub const ALL: [Label; 3] = [Label::Yes, Label::No, Label::Uncertain];

    /// Place of the label in [`Label::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The word in examples, prompts and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Label::Yes => "Yes",
            Label::No => "No",
            Label::Uncertain => "Uncertain",
        }
    }

    /// Reads a label as sources write it: `yes`, `no`, `maybe` or `uncertain`, in any case, with
    /// blanks or a full stop around it. `None` for every other text.
    pub fn parse(text: &str) -> Option<Label> {
        let word = text.trim().trim_end_matches('.').trim_end();
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        match () {
            () if is("yes") => Some(Label::Yes),
            () if is("no") => Some(Label::No),
            () if is("maybe") || is("uncertain") => Some(Label::Uncertain),
            () => None,
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Label;

    #[test]
    fn reads_every_way_that_sources_write_a_label() {
        for (text, label) in [
            ("yes", Label::Yes),
            ("Yes", Label::Yes),
            (" NO. ", Label::No),
            ("maybe", Label::Uncertain),
            ("Uncertain", Label::Uncertain),
        ] {
            assert_eq!(Label::parse(text), Some(label), "{text:?}");
        }
        for text in ["", "y", "none", "yes, but", "not"] {
            assert_eq!(Label::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn index_and_word_agree_with_the_order() {
        for (place, label) in Label::ALL.into_iter().enumerate() {
            assert_eq!(label.index(), place);
            assert_eq!(Label::parse(label.as_str()), Some(label));
            assert_eq!(
                serde_json::to_string(&label).unwrap(),
                format!("\"{label}\"")
            );
        }
    }
}
