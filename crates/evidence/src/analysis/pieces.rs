//! Text to compounds, words and pieces: where one ends and the next begins.

use std::ops::Range;

use verdict_data::letters::greek;

/// A compound: words that hyphens or slashes connect, each of one or more pieces.
#[derive(Default)]
pub(super) struct Compound {
    /// Pieces of all words, as ranges of the text.
    pub(super) pieces: Vec<Range<usize>>,
    /// For each word, the end of its pieces.
    pub(super) words: Vec<usize>,
}

/// Longest run of Greek letters that stands for the letters themselves (`αβ`); a longer one is a word in Greek.
const GREEK_SYMBOLS: usize = 3;

/// Finds the next compound at or after `from`, and where it ends; false if there is none.
pub(super) fn next_compound(text: &str, from: &mut usize, compound: &mut Compound) -> bool {
    compound.pieces.clear();
    compound.words.clear();
    let Some(start) = text[*from..].find(char::is_alphanumeric) else {
        *from = text.len();
        return false;
    };
    let mut at = *from + start;
    loop {
        let end = word_end(text, at);
        split(text, at..end, &mut compound.pieces);
        compound.words.push(compound.pieces.len());
        let mut rest = text[end..].chars();
        let connects = matches!(rest.next(), Some('-' | '/'))
            && rest.next().is_some_and(char::is_alphanumeric);
        if !connects {
            *from = past_possessive(text, end);
            return true;
        }
        at = end + 1;
    }
}

/// Where the word that begins at `at` ends: a run of letters and digits, with the points and commas of numbers.
fn word_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end = at;
    for (offset, c) in text[at..].char_indices() {
        let here = at + offset;
        let in_number = here > at && digit(here - 1) && digit(here + 1);
        let inside = match c {
            '.' => in_number,
            ',' => in_number && (1..=3).all(|n| digit(here + n)) && !digit(here + 4),
            c => c.is_alphanumeric(),
        };
        if !inside {
            break;
        }
        end = here + c.len_utf8();
    }
    end
}

/// After an `'s` at `end`, which is no word.
fn past_possessive(text: &str, end: usize) -> usize {
    let mut rest = text[end..].chars();
    let possessive = rest.next() == Some('\'')
        && matches!(rest.next(), Some('s' | 'S'))
        && !rest.next().is_some_and(char::is_alphanumeric);
    if possessive { end + 2 } else { end }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Digit,
    Greek,
}

fn kind(c: char) -> Kind {
    if c.is_ascii_alphabetic() {
        Kind::Letter
    } else if c.is_ascii_digit() || matches!(c, '.' | ',') {
        Kind::Digit
    } else if greek(lower(c)).is_some() {
        Kind::Greek
    } else {
        Kind::Letter
    }
}

/// The lower-case form of a character that has one of a single character.
pub(super) fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// Divides a word: where Greek symbols begin or end, and at the first border of letters and digits.
fn split(text: &str, word: Range<usize>, pieces: &mut Vec<Range<usize>>) {
    let mut start = word.start;
    let mut divided = false;
    let mut before: Option<Kind> = None;
    let symbols = text[word.clone()]
        .chars()
        .filter(|&c| kind(c) == Kind::Greek);
    let in_greek = symbols.count() > GREEK_SYMBOLS;
    for (offset, c) in text[word.clone()].char_indices() {
        let here = word.start + offset;
        let now = match kind(c) {
            Kind::Greek if in_greek => Kind::Letter,
            now => now,
        };
        if let Some(before) = before.filter(|&before| before != now) {
            let symbol = before == Kind::Greek || now == Kind::Greek;
            if symbol || !divided {
                pieces.push(start..here);
                start = here;
                divided |= !symbol;
            }
        }
        before = Some(now);
    }
    pieces.push(start..word.end);
}

#[cfg(test)]
mod tests {
    use super::{Compound, next_compound};

    /// Pieces with blanks, words with `|`, compounds one by one.
    fn compounds(text: &str) -> Vec<String> {
        let (mut at, mut compound, mut all) = (0, Compound::default(), Vec::new());
        while next_compound(text, &mut at, &mut compound) {
            let mut words = Vec::new();
            let mut first = 0;
            for &end in &compound.words {
                let pieces = compound.pieces[first..end].iter();
                words.push(
                    pieces
                        .map(|p| &text[p.clone()])
                        .collect::<Vec<_>>()
                        .join(" "),
                );
                first = end;
            }
            all.push(words.join("|"));
        }
        all
    }

    #[test]
    fn compounds_words_and_pieces() {
        for (text, expected) in [
            ("IL-6, IL6 and p53.", vec!["IL|6", "IL 6", "and", "p 53"]),
            ("CYP3A4 5-HT2A", vec!["CYP 3A4", "5|HT 2A"]),
            (
                "TNFα TNF-α αβ αλφαβητο",
                vec!["TNF α", "TNF|α", "αβ", "αλφαβητο"],
            ),
            (
                "p < 0.05, 1,000 of 2,3,7",
                vec!["p", "0.05", "1,000", "of", "2", "3", "7"],
            ),
            (
                "Crohn's 5'-UTR don't",
                vec!["Crohn", "5", "UTR", "don", "t"],
            ),
            ("HER2/neu- -x", vec!["HER 2|neu", "x"]),
            ("...", vec![]),
        ] {
            assert_eq!(compounds(text), expected, "{text}");
        }
    }
}
