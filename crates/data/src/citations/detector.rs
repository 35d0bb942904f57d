//! The detector: finds what has the form of a citation in a citation's place, and removes it so that the sentence
//! still reads well.

use std::ops::Range;

use regex::Regex;

use super::instead;
use super::kind::Kind;
use super::place::Spared;
use crate::text::{fixpoint, regex, tidy};

/// A citation that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CitationMatch {
    /// Its kind.
    pub kind: Kind,
    /// Its text, without the words that led up to it.
    pub text: String,
}

/// Patterns of citations, and how to take out what they find.
#[derive(Debug)]
pub struct Citations {
    kinds: Vec<Kind>,
    pub(super) each: Vec<Regex>,
    /// Something that every citation has; most texts have none of it.
    quick: Option<Regex>,
    /// Words before a citation that mean nothing without it.
    lead_up: Regex,
    /// What has the form of a citation and is none.
    spared: Spared,
}

impl Citations {
    /// Of patterns that are to be found in a text with one blank before its first character, in the order in
    /// which the first of equals wins.
    pub(crate) fn new(
        patterns: Vec<(Kind, Regex)>,
        quick: Option<Regex>,
        lead_up: &[String],
        spared: Spared,
    ) -> Citations {
        let (kinds, each): (Vec<Kind>, Vec<Regex>) = patterns.into_iter().unzip();
        let words: Vec<String> = lead_up.iter().map(|word| regex::escape(word)).collect();
        let words = words.join("|");
        Citations {
            kinds,
            each,
            quick,
            lead_up: regex(&format!(
                r"(?i)(?:^|[\s(\[])(?:(?:\b(?:{words})\b)[\s.,:;#/-]*)+$"
            )),
            spared,
        }
    }

    pub(super) fn may(&self, text: &str) -> bool {
        self.quick.as_ref().is_none_or(|quick| quick.is_match(text))
    }

    /// Does the text hold a citation of any kind?
    pub fn contains(&self, text: &str) -> bool {
        self.first(text).is_some()
    }

    /// The text without its citations and without what only led up to them ("registered at",
    /// brackets, commas), and the citations in the order of removal. Authors that carry the sentence
    /// ("Smith et al. (2019) found that …") give way to it, or to "earlier work". What comes out holds
    /// no citation, and removing from it again changes nothing.
    pub fn remove(&self, text: &str) -> (String, Vec<CitationMatch>) {
        let found = std::cell::RefCell::new(Vec::new());
        let text = fixpoint(text.to_owned(), |text| match self.first(text) {
            Some((kind, range)) => {
                let (out, removed) = self.without(text, kind, range);
                found.borrow_mut().push(CitationMatch {
                    kind,
                    text: removed,
                });
                out
            }
            None => text.to_owned(),
        });
        (text, found.into_inner())
    }

    /// The first citation, the longer one where two begin at one place.
    fn first(&self, text: &str) -> Option<(Kind, Range<usize>)> {
        if !self.may(text) {
            return None;
        }
        let padded = format!(" {text}");
        // One by one: all of them in one set need more states than a lazily built automaton keeps, and are five times
        // as slow.
        (0..self.each.len())
            .filter_map(|index| {
                let range = self.first_of(index, text, &padded)?;
                Some((self.kinds[index], range))
            })
            .min_by_key(|(_, range)| (range.start, usize::MAX - range.end))
    }

    /// The first citation of one pattern.
    fn first_of(&self, index: usize, text: &str, padded: &str) -> Option<Range<usize>> {
        let mut from = 0;
        loop {
            let found = self.each[index].captures_at(padded, from)?;
            let cited = found.get(1).or_else(|| found.get(0))?;
            let end = cited.end().min(padded.len()).max(1) - 1;
            let range = cited.start().saturating_sub(1)..end;
            if self.spared.certain(self.kinds[index], text, &range) {
                return Some(range);
            }
            let next = padded[cited.start()..].chars().next()?;
            from = cited.start() + next.len_utf8();
        }
    }

    /// The text without one citation, and the citation itself.
    fn without(&self, text: &str, kind: Kind, range: Range<usize>) -> (String, String) {
        let removed = text[range.clone()].to_owned();
        let (mut start, mut end) = (range.start, range.end);
        if kind == Kind::AuthorYear && !removed.starts_with(['(', '[']) {
            if removed.ends_with([')', ']']) && !removed.contains(['(', '[']) {
                // The bracket that closes was opened before the authors.
                end -= 1;
            }
            let bracketed = instead::is_aside(&text[..start]);
            match removed.find(['(', '[']) {
                // "Smith and Jones (2019) agree" reads well without the year.
                Some(year) if instead::keeps_names(&removed, &text[end..]) => start += year,
                _ if !bracketed => {
                    let out = instead::narrative(&text[..start], &removed, &text[end..]);
                    return (out, removed);
                }
                _ => {}
            }
        }
        if kind == Kind::AuthorYear && removed.ends_with(';') {
            // "(Smith, 2019; Lee, 2020)": the bracket stays for the next one.
            let out = format!("{}({}", &text[..start], text[end..].trim_start());
            return (out, removed);
        }
        if let Some(lead) = self.lead_up(kind, &text[..start]) {
            start = lead;
        }
        if let Some(named) = instead::NAMES_SOURCE.find(&text[..start]) {
            start = named.start();
        }
        let before = text[..start].trim_end_matches([' ', ';', ',']);
        let after = text[end..].trim_start_matches([' ', ';', ',']);
        let opened = before.ends_with(['(', '[']);
        let closed = after.starts_with([')', ']']);
        if opened && closed {
            start = before.len() - 1;
            end = text.len() - after.len() + 1;
            return (
                tidy(&format!("{} {}", &text[..start], &text[end..])),
                removed,
            );
        }
        if kind == Kind::Trial
            && !opened
            && let Some(out) = instead::trial(before, after)
        {
            return (out, removed);
        }
        // Commas go where nothing follows for them to part.
        let ends = after.is_empty() || after.starts_with(['.', '?', '!']);
        let (before, after) = if opened || closed || ends {
            (before, after)
        } else {
            (&text[..start], &text[end..])
        };
        (
            tidy(&format!(
                "{before}{}{after}",
                if opened || closed { "" } else { " " }
            )),
            removed,
        )
    }

    /// Where the words begin that only lead up to the citation behind `before`. The blank or bracket before them stays.
    fn lead_up(&self, kind: Kind, before: &str) -> Option<usize> {
        let lead = match kind {
            // A number in brackets follows words that belong to the sentence.
            Kind::Reference | Kind::AuthorYear => instead::LEADS_TO_WORK.find(before)?,
            _ => self.lead_up.find(before)?,
        };
        let text = lead.as_str();
        let blank = text.chars().next().filter(|c| " ([".contains(*c));
        let start = lead.start() + blank.map_or(0, char::len_utf8);
        // "There was no NCT number": the denial stays.
        let words = &before[start..];
        let no = words.get(..3).is_some_and(|word| word == "no ");
        Some(start + if no { 3 } else { 0 })
    }
}
