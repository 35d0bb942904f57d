//! The language of rationales, one sentence without a citation, decided for every prefix.
//!
//! [`rationale_state`] classifies a text: it is a rationale, can become one, or cannot. It looks at the text alone, so that a
//! token is admitted by the text that it would give. Citations are those of [`verdict_data::citations`], and a complete
//! rationale is exactly one sentence to [`verdict_data::sentences`], so that building, decoding and evaluation agree.

use verdict_data::citations;

/// Minimum number of characters in a rationale.
pub const MIN_CHARS: usize = 20;
/// Maximum number of characters in a rationale.
pub const MAX_CHARS: usize = 400;
/// Minimum number of words in a rationale.
const MIN_WORDS: usize = 3;

/// Abbreviations that never end a sentence; any word may follow their dot. The sentence splitter has them all.
const NEVER_END: &[&str] = &[
    "vs", "e.g", "i.e", "cf", "approx", "ca", "dr", "fig", "spp", "subsp", "ssp", "resp",
];
/// Abbreviations that may end a sentence; otherwise a lower-case letter or a digit follows their dot.
const MAY_END: &[&str] = &[
    "u.s", "u.s.a", "u.k", "e.u", "i.v", "i.m", "i.p", "s.c", "p.o", "b.i.d", "t.i.d", "q.i.d",
    "q.d", "b.d", "o.d", "a.m", "p.m", "s.d", "s.e",
];

/// Whether a text is or can become a rationale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RationaleState {
    /// Neither it nor any continuation is a rationale.
    Impossible,
    /// It is not a rationale, but a continuation can be.
    Incomplete,
    /// It is a rationale, and so may be a continuation ("0." in "0.85").
    Complete,
    /// It is a rationale, and no continuation is.
    Final,
}

impl RationaleState {
    /// Whether the text is a rationale.
    pub fn is_rationale(self) -> bool {
        matches!(self, RationaleState::Complete | RationaleState::Final)
    }
}

/// The state of the text after `Rationale:`, including the space before the sentence.
pub fn rationale_state(text: &str) -> RationaleState {
    if text.is_empty() {
        return RationaleState::Incomplete;
    }
    let Some(sentence) = text.strip_prefix(' ') else {
        return RationaleState::Impossible;
    };
    let mut reader = Reader::default();
    for (at, character) in sentence.char_indices() {
        if !reader.take(&sentence[..at], character) {
            return RationaleState::Impossible;
        }
    }
    if reader.count > MAX_CHARS || citations::contains(sentence) {
        return RationaleState::Impossible;
    }
    match reader.ended(sentence) {
        Some(stem) if reader.count >= MIN_CHARS && words(sentence) >= MIN_WORDS => {
            match sentence.ends_with('.') && may_continue(stem) {
                true => RationaleState::Complete,
                false => RationaleState::Final,
            }
        }
        _ => RationaleState::Incomplete,
    }
}

/// The state of reading a sentence.
#[derive(Default)]
struct Reader {
    count: usize,
    /// Closing brackets that are still missing, the next one last.
    unclosed: Vec<char>,
    last: Option<char>,
    /// Whether only a digit can follow the last mark: " .05".
    needs_digit: bool,
}

impl Reader {
    /// Reads the next character; false where no sentence can continue with it. `before` is the text before it.
    fn take(&mut self, before: &str, character: char) -> bool {
        let fits = match (self.last, character) {
            (None, c) => c.is_alphanumeric(),
            (Some(_), c)
                if (c.is_whitespace() && c != ' ') || c.is_control() || c == '\u{fffd}' =>
            {
                false
            }
            (Some('.' | '!' | '?'), c) => self.after_mark(before, c),
            (Some(' '), c) => match c {
                '.' => true,
                _ => !" ,;:!?)]%".contains(c) && self.after_dot_and_blank(before, c),
            },
            (Some('(' | '['), c) => c == '.' || !" ,;:!?)]".contains(c),
            (Some(_), _) => true,
        };
        let fits = fits && self.brackets(character);
        if ".!?".contains(character) {
            let after_word = self
                .last
                .is_some_and(|c| c.is_alphanumeric() || ")]%\"'”’".contains(c));
            self.needs_digit = !after_word;
            if self.needs_digit
                && !(character == '.' && self.last.is_some_and(|c| " ([<>=≤≥-−–±".contains(c)))
            {
                return false;
            }
        } else {
            self.needs_digit = false;
        }
        self.count += 1;
        self.last = Some(character);
        fits
    }

    /// Whether `next` may follow the mark that ends `before`.
    fn after_mark(&self, before: &str, next: char) -> bool {
        let Some(stem) = before.strip_suffix('.') else {
            return false;
        };
        if next.is_ascii_digit() {
            return self.needs_digit || stem.ends_with(|c: char| c.is_ascii_digit());
        }
        if self.needs_digit {
            return false;
        }
        let word = last_word(stem);
        if next.is_alphabetic() {
            // "e.g", "U.S": letters between dots.
            return word.rsplit('.').next().is_some_and(is_letter);
        }
        // "E. coli", "vs. placebo", "(i.v.)".
        let lower = word.to_lowercase();
        " ,;:)]".contains(next)
            && (is_letter(word)
                || NEVER_END.contains(&lower.as_str())
                || MAY_END.contains(&lower.as_str()))
    }

    /// Whether `next` may follow a dot and a space: after "i.v. " and "E. " no capital may, since the splitter could
    /// see a new sentence.
    fn after_dot_and_blank(&self, before: &str, next: char) -> bool {
        match before.strip_suffix(". ") {
            Some(stem) if !NEVER_END.contains(&last_word(stem).to_lowercase().as_str()) => {
                next.is_lowercase() || next.is_ascii_digit()
            }
            _ => true,
        }
    }

    /// Matches brackets; false for one that closes nothing.
    fn brackets(&mut self, character: char) -> bool {
        match character {
            '(' => self.unclosed.push(')'),
            '[' => self.unclosed.push(']'),
            ')' | ']' => return self.unclosed.pop() == Some(character),
            _ => {}
        }
        true
    }

    /// The text before the mark that ends `sentence`; `None` where no mark ends it.
    fn ended<'s>(&self, sentence: &'s str) -> Option<&'s str> {
        let stem = sentence.strip_suffix(['.', '!', '?'])?;
        let midway = NEVER_END.contains(&last_word(stem).to_lowercase().as_str());
        (!self.needs_digit && self.unclosed.is_empty() && !midway).then_some(stem)
    }
}

/// Whether a sentence may continue after `stem` and a full stop: after digits ("0.85"), and after a single letter or
/// one between dots ("E. coli", "i.v. drugs"), by [`Reader::after_mark`].
fn may_continue(stem: &str) -> bool {
    stem.ends_with(|c: char| c.is_ascii_digit())
        || last_word(stem).rsplit('.').next().is_some_and(is_letter)
}

/// The last run of letters, digits, inner dots and apostrophes, so that the t of "doesn't" is not an initial.
fn last_word(text: &str) -> &str {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '\'' | '’');
    let before = text.trim_end_matches(part);
    text[before.len()..].trim_start_matches(|c: char| !c.is_alphanumeric())
}

fn is_letter(part: &str) -> bool {
    let mut letters = part.chars();
    letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none()
}

fn words(sentence: &str) -> usize {
    sentence
        .split(' ')
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .count()
}

#[cfg(test)]
mod tests {
    use super::RationaleState::{Complete, Final, Impossible, Incomplete};
    use super::*;

    #[test]
    fn every_prefix_of_a_sentence_is_possible() {
        for sentence in [
            "Vitamin D lowers the risk a little.",
            "The interval runs from 0.60 to 1.05 and so includes 1.",
            "The effect vs. placebo was small (RR 0.85, 95% CI .60-1.05).",
            "Doses of 5 mg i.v. were given, e.g. in the U.S. trials.",
            "It was given to all patients i.v.",
            "Growth of E. coli fell (S. aureus and C. difficile as well).",
            "Does it help in small trials?",
            "They met all aims, whatever the dietary allowance!",
            "Größe und Wärme sind über 5 °C hoch.",
            "Treatment helped most patients (approx. 50%).",
            "It rose in half of them [95% CI 1 to 2].",
        ] {
            let text = format!(" {sentence}");
            assert!(rationale_state(&text).is_rationale(), "{sentence:?}");
            for (end, _) in text.char_indices() {
                assert_ne!(
                    rationale_state(&text[..end]),
                    Impossible,
                    "{:?}",
                    &text[..end]
                );
            }
            assert_eq!(verdict_data::sentences(sentence).count(), 1, "{sentence:?}");
        }
    }

    #[test]
    fn nothing_can_follow_a_final_rationale() {
        for (sentence, want) in [
            ("The ratio in the trial was 0.", Complete),
            ("They all had to take vitamin D.", Complete),
            ("It was given to them i.v.", Complete),
            ("It lowers the risk a little.", Final),
            ("One drug works and the other doesn't.", Final),
            ("The second share was the patient’s.", Final),
            ("It lowers the risk (a little).", Final),
            ("Does the ratio say 5?", Final),
        ] {
            let text = format!(" {sentence}");
            assert_eq!(rationale_state(&text), want, "{sentence:?}");
            let follows = |next: char| rationale_state(&format!("{text}{next}")) != Impossible;
            let followers: Vec<char> = (' '..='\u{17f}').filter(|next| follows(*next)).collect();
            assert_eq!(
                followers.is_empty(),
                want == Final,
                "{sentence:?}: {followers:?}"
            );
        }
    }

    #[test]
    fn unfinished_text_is_incomplete() {
        for text in [
            "",
            " ",
            " Vitamin D lowers the risk",
            " Vitamin D lowers the risk (see above.",
            " Vitamin D lowers the risk vs.",
            " Too short.",
            " Antidisestablishmentarianism.",
            " The ratio in the trial was .",
        ] {
            assert_eq!(rationale_state(text), Incomplete, "{text:?}");
        }
    }

    #[test]
    fn text_that_cannot_become_a_rationale_is_impossible() {
        for text in [
            "No blank before it",
            "  Two blanks before it",
            " Two  blanks within",
            " One ends. Another",
            " One ends! another",
            " One ends.Another",
            " One works and one doesn't. Second",
            " One works and one doesn't. second",
            " One ends...",
            " A line\n",
            " A tab\t",
            " A stray bracket) is",
            " Crossed (brackets]",
            " A blank before , a comma",
            " Doses i.v. The",
            " (Starts with a bracket",
            " It helps (Smith et al., 2019",
            " It helps, see PMID 123",
            " It helps [12]",
            " It helps, see www.example.org/x",
        ] {
            assert_eq!(rationale_state(text), Impossible, "{text:?}");
        }
        let long = format!(" {}", "word ".repeat(100));
        assert_eq!(rationale_state(&long), Impossible);
    }
}
