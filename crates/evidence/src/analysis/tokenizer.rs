//! From pieces to terms: case, stop words, stems, and compounds as a whole.

use std::ops::Range;

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use verdict_data::letters::greek;

use super::fold::fold;
use super::pieces::{Compound, lower, next_compound};
use super::stop_words::is_stop_word;

/// The name under which an index knows the analysis; it has the number of its version.
pub const NAME: &str = "biomedical-1";

/// Longer terms, in bytes, are sequences and not words, and are dropped.
const LONGEST: usize = 100;

/// Most words of a compound that is a term as a whole.
const WHOLE: usize = 3;

/// A term of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryTerm {
    /// As the index has it.
    pub text: String,
    /// The number of pieces before it.
    pub position: usize,
    /// Whether it consists of several pieces, which are terms too.
    pub joined: bool,
}

/// The analysis, with its buffers.
#[derive(Clone)]
pub struct Analyzer {
    stemmer: frostem::Stemmer,
    /// The terms' text, one after the other.
    arena: String,
    terms: Vec<Span>,
    piece: String,
}

#[derive(Clone)]
struct Span {
    text: Range<usize>,
    position: usize,
    joined: bool,
}

impl Default for Analyzer {
    fn default() -> Self {
        Self {
            stemmer: frostem::Stemmer::new(frostem::Algorithm::English),
            arena: String::new(),
            terms: Vec::new(),
            piece: String::new(),
        }
    }
}

impl Analyzer {
    /// The terms of a text in order of their positions.
    pub fn terms(&mut self, text: &str) -> Vec<QueryTerm> {
        self.analyze(text);
        let owned = |span: &Span| QueryTerm {
            text: self.arena[span.text.clone()].to_owned(),
            position: span.position,
            joined: span.joined,
        };
        self.terms.iter().map(owned).collect()
    }

    fn analyze(&mut self, text: &str) {
        self.arena.clear();
        self.terms.clear();
        let text = fold(text);
        let capitals_mean_nothing =
            !text.chars().any(char::is_lowercase) && text.trim().contains(' ');
        let text = match capitals_mean_nothing {
            true => text.to_lowercase().into(),
            false => text,
        };
        let mut compound = Compound::default();
        let (mut at, mut position) = (0, 0);
        while next_compound(&text, &mut at, &mut compound) {
            self.compound(&text, &compound, position);
            position += compound.pieces.len();
        }
    }

    fn compound(&mut self, text: &str, compound: &Compound, position: usize) {
        let mut first = 0;
        for &end in &compound.words {
            let pieces = &compound.pieces[first..end];
            for (nth, piece) in pieces.iter().enumerate() {
                let alone = pieces.len() == 1;
                self.one(text, piece.clone(), position + first + nth, alone);
            }
            if pieces.len() > 1 {
                self.joined(text, pieces, position + first);
            }
            first = end;
        }
        let words = compound.words.len();
        if words > WHOLE - 1 {
            let starts = std::iter::once(0).chain(compound.words.iter().copied());
            for (start, &end) in starts.zip(&compound.words[1..]) {
                self.joined(text, &compound.pieces[start..end], position + start);
            }
        }
        if (2..=WHOLE).contains(&words) {
            self.joined(text, &compound.pieces, position);
        }
    }

    /// A piece: a plain word, a name in capitals, digits, Greek letters. `alone` if it is a whole word.
    fn one(&mut self, text: &str, range: Range<usize>, position: usize, alone: bool) {
        let piece = &text[range.clone()];
        let mut capitals = 0;
        let mut letters = 0;
        self.piece.clear();
        for c in piece.chars() {
            letters += usize::from(c.is_alphabetic());
            capitals += usize::from(c.is_uppercase());
            push_lower(&mut self.piece, c);
        }
        let first_is_capital = piece.chars().next().is_some_and(char::is_uppercase);
        let name = capitals > usize::from(first_is_capital)
            || (capitals == 1 && letters == 1 && !begins_sentence(text, range.start));
        if !name && is_stop_word(&self.piece) {
            return;
        }
        let start = self.arena.len();
        if letters == 0 || !alone {
            self.arena.push_str(&self.piece);
            return self.push(start, position, false);
        }
        if name {
            let plural =
                piece.ends_with('s') && piece.chars().rev().nth(1).is_some_and(char::is_uppercase);
            let kept = self.piece.len() - usize::from(plural);
            self.arena.push_str(&self.piece[..kept]);
            self.push(start, position, false);
        }
        let stem = self.stemmer.stem(&self.piece);
        let same = name && self.arena[start..] == *stem;
        if !same {
            let start = self.arena.len();
            self.arena.push_str(&stem);
            self.push(start, position, false);
        }
    }

    /// Several pieces as one term; stemmed if there are no digits in it.
    fn joined(&mut self, text: &str, pieces: &[Range<usize>], position: usize) {
        self.piece.clear();
        let mut plain = true;
        for c in pieces.iter().flat_map(|piece| text[piece.clone()].chars()) {
            plain &= c.is_alphabetic();
            push_lower(&mut self.piece, c);
        }
        let start = self.arena.len();
        match plain {
            true => self.arena.push_str(&self.stemmer.stem(&self.piece)),
            false => self.arena.push_str(&self.piece),
        }
        self.push(start, position, true);
    }

    fn push(&mut self, start: usize, position: usize, joined: bool) {
        let text = start..self.arena.len();
        if text.is_empty() || text.len() > LONGEST {
            return self.arena.truncate(start);
        }
        self.terms.push(Span {
            text,
            position,
            joined,
        });
    }
}

/// Adds a character in lower case, a Greek letter by its name, and nothing for the comma of a number.
fn push_lower(out: &mut String, c: char) {
    if c.is_ascii() {
        if c != ',' {
            out.push(c.to_ascii_lowercase());
        }
        return;
    }
    match greek(lower(c)) {
        Some(name) => out.push_str(name),
        None => out.extend(c.to_lowercase()),
    }
}

/// Whether a sentence, or the text, begins at `at`.
fn begins_sentence(text: &str, at: usize) -> bool {
    let before = text[..at].trim_end().chars().next_back();
    before.is_none_or(|c| matches!(c, '.' | '?' | '!' | ':' | ';' | '(' | '[' | '"'))
}

impl Tokenizer for Analyzer {
    type TokenStream<'a> = Terms<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Terms<'a> {
        self.analyze(text);
        Terms {
            analyzer: self,
            next: 0,
            token: Token::default(),
        }
    }
}

/// The terms of a text, one by one. Offsets are not kept: the text is folded before it is divided.
pub struct Terms<'a> {
    analyzer: &'a Analyzer,
    next: usize,
    token: Token,
}

impl TokenStream for Terms<'_> {
    fn advance(&mut self) -> bool {
        let Some(span) = self.analyzer.terms.get(self.next) else {
            return false;
        };
        self.next += 1;
        self.token.position = span.position;
        self.token.text.clear();
        self.token
            .text
            .push_str(&self.analyzer.arena[span.text.clone()]);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Analyzer;

    fn terms(text: &str) -> Vec<String> {
        let terms = Analyzer::default().terms(text);
        terms.into_iter().map(|term| term.text).collect()
    }

    #[test]
    fn terms_of_biomedical_text() {
        for (text, expected) in [
            ("Do beta-blockers help?", "beta blocker betablock help"),
            ("IL-6", "il 6 il6"),
            ("IL6", "il 6 il6"),
            ("p53 mutations", "p 53 p53 mutat"),
            ("HER2/neu", "her 2 her2 neu her2neu"),
            ("TNFα", "tnf alpha tnfalpha"),
            ("COVID‑19", "covid 19 covid19"),
            ("Parkinson’s disease", "parkinson diseas"),
            ("NSAIDs in miRNAs", "nsaid mirna"),
            ("1,000 patients, p < 0.05", "1000 patient p 0.05"),
            ("Sjögren", "sjogren"),
            ("CYP3A4 5-HT2A", "cyp 3a4 cyp3a4 5 ht 2a ht2a 5ht2a"),
            ("state-of-the-art", "state stateof ofth theart art"),
        ] {
            let mut found = terms(text);
            let mut expected: Vec<_> = expected.split(' ').collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_differently_meets() {
        let meet = |a: &str, b: &str| {
            let (a, b) = (terms(a), terms(b));
            let a: BTreeSet<_> = a.into_iter().collect();
            b.iter().any(|term| a.contains(term))
        };
        for (a, b) in [
            ("IL-6", "IL 6"),
            ("IL6", "il-6"),
            ("β-blocker", "beta-blockers"),
            ("β-blockers", "betablocker"),
            ("TNF-α", "TNFalpha"),
            ("AIDS", "aids"),
            ("NSAID", "nsaids"),
            ("5-HT", "5HT"),
            ("HER-2", "HER2"),
        ] {
            assert!(meet(a, b), "{a} and {b}: {:?} {:?}", terms(a), terms(b));
        }
    }

    #[test]
    fn genes_that_are_spelled_like_stop_words_stay() {
        assert_eq!(terms("the WAS gene was found"), ["was", "gene"]);
        assert_eq!(terms("A trial of vitamin A"), ["trial", "vitamin", "a"]);
        assert_eq!(terms("WAS IT THE DOSE"), ["dose"], "all in capitals");
    }

    #[test]
    fn positions_count_pieces_and_stop_words() {
        let found = Analyzer::default().terms("IL-6 in the blood");
        let places: Vec<_> = found
            .iter()
            .map(|t| (t.text.as_str(), t.position))
            .collect();
        assert_eq!(places, [("il", 0), ("6", 1), ("il6", 0), ("blood", 4)]);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_analysis(text in any::<String>()) {
            for term in Analyzer::default().terms(&text) {
                prop_assert!(!term.text.is_empty() && term.text.len() <= super::LONGEST);
            }
        }

        #[test]
        fn the_buffers_leave_no_trace(a in ".{0,40}", b in ".{0,40}") {
            let mut used = Analyzer::default();
            used.terms(&a);
            prop_assert_eq!(used.terms(&b), Analyzer::default().terms(&b));
        }
    }
}
