//! The language of a rationale: one sentence without a citation, decided prefix by prefix.
//!
//! [`standing`] says of any text whether it can still become a rationale, already is one, or
//! cannot. It works on the text alone, so that a model's next token is judged by the text it would
//! make. Citations are what [`verdict_data::citations`] calls so, and what is `Complete` here is
//! exactly one sentence to [`verdict_data::sentences`]: the builder, the grammar and the evaluation
//! cannot disagree.

use verdict_data::citations;

/// Characters of the shortest rationale.
pub const MIN_CHARS: usize = 20;
/// Characters of the longest rationale.
pub const MAX_CHARS: usize = 400;
/// Words of the shortest rationale.
const MIN_WORDS: usize = 3;

/// Abbreviations after whose dot any word may follow. Each is one of those after which the
/// splitter never ends a sentence.
const MIDWAY: &[&str] = &[
    "vs", "e.g", "i.e", "cf", "approx", "ca", "dr", "fig", "spp", "subsp", "ssp", "resp",
];
/// Abbreviations after whose dot a small letter or a digit may follow, and which may end a sentence.
const EITHER: &[&str] = &[
    "u.s", "u.s.a", "u.k", "e.u", "i.v", "i.m", "i.p", "s.c", "p.o", "b.i.d", "t.i.d", "q.i.d",
    "q.d", "b.d", "o.d", "a.m", "p.m", "s.d", "s.e",
];

/// Whether a text can be or become a rationale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No continuation of it is a rationale.
    Refused,
    /// It is not a rationale yet.
    Open,
    /// It is a rationale; a few continuations may be, too ("0." in "0.85").
    Complete,
    /// It is a rationale, and no continuation is.
    Closed,
}

impl Standing {
    /// Is the text a rationale as it stands?
    pub fn is_rationale(self) -> bool {
        matches!(self, Standing::Complete | Standing::Closed)
    }
}

/// The standing of what follows `Rationale:`, the blank before the sentence included.
pub fn standing(text: &str) -> Standing {
    if text.is_empty() {
        return Standing::Open;
    }
    let Some(sentence) = text.strip_prefix(' ') else {
        return Standing::Refused;
    };
    let mut reader = Reader::default();
    for (at, character) in sentence.char_indices() {
        if !reader.take(&sentence[..at], character) {
            return Standing::Refused;
        }
    }
    if reader.count > MAX_CHARS || citations::contains(sentence) {
        return Standing::Refused;
    }
    match reader.ended(sentence) {
        Some(stem) if reader.count >= MIN_CHARS && words(sentence) >= MIN_WORDS => {
            match sentence.ends_with('.') && goes_on(stem) {
                true => Standing::Complete,
                false => Standing::Closed,
            }
        }
        _ => Standing::Open,
    }
}

/// What has been read of a sentence.
#[derive(Default)]
struct Reader {
    count: usize,
    /// Closing brackets still owed, the next one last.
    owed: Vec<char>,
    last: Option<char>,
    /// The last mark stands where only a digit can follow: " .05".
    needs_digit: bool,
}

impl Reader {
    /// Reads the next character; false where no sentence goes on so. `before` is all before it.
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

    /// May `next` follow the mark that ends `before`?
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
                || MIDWAY.contains(&lower.as_str())
                || EITHER.contains(&lower.as_str()))
    }

    /// After "i.v. " and "E. " no capital may follow: there the splitter might see a new sentence.
    fn after_dot_and_blank(&self, before: &str, next: char) -> bool {
        match before.strip_suffix(". ") {
            Some(stem) if !MIDWAY.contains(&last_word(stem).to_lowercase().as_str()) => {
                next.is_lowercase() || next.is_ascii_digit()
            }
            _ => true,
        }
    }

    /// Keeps count of brackets; false for one that closes nothing.
    fn brackets(&mut self, character: char) -> bool {
        match character {
            '(' => self.owed.push(')'),
            '[' => self.owed.push(']'),
            ')' | ']' => return self.owed.pop() == Some(character),
            _ => {}
        }
        true
    }

    /// What stands before the mark that ends `sentence`; none where no mark ends it.
    fn ended<'s>(&self, sentence: &'s str) -> Option<&'s str> {
        let stem = sentence.strip_suffix(['.', '!', '?'])?;
        let midway = MIDWAY.contains(&last_word(stem).to_lowercase().as_str());
        (!self.needs_digit && self.owed.is_empty() && !midway).then_some(stem)
    }
}

/// May a sentence go on after `stem` and a full stop? After digits ("0.85"), and after a letter
/// alone or between dots ("E. coli", "i.v. drugs"), by [`Reader::after_mark`].
fn goes_on(stem: &str) -> bool {
    stem.ends_with(|c: char| c.is_ascii_digit())
        || last_word(stem).rsplit('.').next().is_some_and(is_letter)
}

/// The last run of letters, digits, inner dots and apostrophes: the t of "doesn't" is no initial.
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
    use super::Standing::{Closed, Complete, Open, Refused};
    use super::*;

    #[test]
    fn sentences_are_complete_and_every_beginning_of_them_is_not_refused() {
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
            assert!(standing(&text).is_rationale(), "{sentence:?}");
            for (end, _) in text.char_indices() {
                assert_ne!(standing(&text[..end]), Refused, "{:?}", &text[..end]);
            }
            assert_eq!(verdict_data::sentences(sentence).count(), 1, "{sentence:?}");
        }
    }

    #[test]
    fn closed_means_that_nothing_can_follow() {
        for (sentence, want) in [
            ("The ratio in the trial was 0.", Complete),
            ("They all had to take vitamin D.", Complete),
            ("It was given to them i.v.", Complete),
            ("It lowers the risk a little.", Closed),
            ("One drug works and the other doesn't.", Closed),
            ("The second share was the patient’s.", Closed),
            ("It lowers the risk (a little).", Closed),
            ("Does the ratio say 5?", Closed),
        ] {
            let text = format!(" {sentence}");
            assert_eq!(standing(&text), want, "{sentence:?}");
            let follows = |next: char| standing(&format!("{text}{next}")) != Refused;
            let followers: Vec<char> = (' '..='\u{17f}').filter(|next| follows(*next)).collect();
            assert_eq!(
                followers.is_empty(),
                want == Closed,
                "{sentence:?}: {followers:?}"
            );
        }
    }

    #[test]
    fn unfinished_text_is_open() {
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
            assert_eq!(standing(text), Open, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_become_a_rationale_is_refused() {
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
            assert_eq!(standing(text), Refused, "{text:?}");
        }
        let long = format!(" {}", "word ".repeat(100));
        assert_eq!(standing(&long), Refused);
    }
}
