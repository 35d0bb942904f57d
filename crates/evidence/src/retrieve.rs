//! The passages that a question is answered from: searched, cut to a budget, and judged for relevance.

use std::collections::{BTreeMap, BTreeSet};

use tantivy::Term;
use verdict_common::hash::sha256;

use crate::analysis::Analyzer;
use crate::passage::passage;
use crate::{Conclusions, Document, Error, Filters, Index, MANIFEST, Result, SearchQuery};

/// Share of a question's terms, weighted by their rarity, that a document must contain to be relevant.
pub const LEAST_MATCH: f64 = 0.35;

/// How passages are searched for.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrievalSettings {
    /// The number of passages wanted, at most; retracted ones are not counted.
    pub top: usize,
    /// Which documents may be found. Retracted ones are found in any case, and marked.
    pub filters: Filters,
    /// Documents with a smaller [match](Evidence::matched) are not relevant.
    pub least_match: f64,
}

impl Default for RetrievalSettings {
    fn default() -> Self {
        RetrievalSettings {
            top: 5,
            filters: Filters::default(),
            least_match: LEAST_MATCH,
        }
    }
}

/// What may be shown of the publications that a benchmark's question was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuestionSource<'s> {
    /// Their ids.
    pub ids: &'s [String],
    /// Their conclusions; `None` leaves them out altogether.
    pub conclusions: Option<Conclusions>,
}

/// A publication that was found for a question, and its passage.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The publication.
    pub document: Document,
    /// The text to read.
    pub text: String,
    /// The score of the search, in nats; only comparable within one search.
    pub score: f32,
    /// The score relative to that of the best document, from 0 to 1.
    pub relevance: f64,
    /// Share of the question's terms in the document, weighted by their rarity (their inverse document frequency), from
    /// 0 to 1.
    pub matched: f64,
}

/// The relevant publications for a question, the best first. Retracted ones are among them; they are to be shown, not
/// read.
///
/// # Errors
/// The index is damaged.
pub fn retrieve(
    index: &Index,
    question: &str,
    settings: &RetrievalSettings,
    source: Option<QuestionSource<'_>>,
    fits: impl Fn(&str) -> bool,
) -> Result<Vec<Evidence>> {
    let own: &[String] = source.map_or(&[], |source| source.ids);
    let mut filters = Filters {
        retracted: true,
        ..settings.filters.clone()
    };
    if source.is_some_and(|source| source.conclusions.is_none()) {
        filters.without.extend_from_slice(own);
    }
    let query = SearchQuery {
        text: question,
        // Some documents have no passage, and retracted ones are not counted.
        top: 2 * settings.top + own.len(),
        filters,
    };
    let hits = index.search(&query)?;
    let best = hits.first().map_or(0.0, |hit| hit.score);
    let weights = index.term_weights(question)?;
    let mut found = Vec::new();
    let mut counted = 0;
    for hit in hits {
        if counted == settings.top {
            break;
        }
        let is_own = own.contains(&hit.document.id);
        let conclusions = source.and_then(|source| source.conclusions);
        let conclusions = conclusions.filter(|_| is_own).unwrap_or_default();
        let matched = matched(&weights, &hit.document);
        if matched < settings.least_match {
            continue;
        }
        let Some(text) = passage(&hit.document, conclusions, &fits) else {
            continue;
        };
        counted += usize::from(!hit.document.is_retracted());
        found.push(Evidence {
            text,
            score: hit.score,
            relevance: f64::from(hit.score / best),
            matched,
            document: hit.document,
        });
    }
    Ok(found)
}

impl Index {
    /// The terms of a question with their weights: their inverse document frequency, `ln(1 + (N - n + ½) / (n + ½))` for
    /// `n` of `N` documents.
    fn term_weights(&self, question: &str) -> Result<BTreeMap<String, f64>> {
        let mut weights = BTreeMap::new();
        for term in Analyzer::default().terms(question) {
            let indexed = Term::from_field_text(self.fields.text, &term.text);
            let most = self.searcher.doc_freq(&indexed);
            let most = most.map_err(Error::engine(self.path()))?;
            let (documents, most) = (self.len() as f64, most as f64);
            // Replaced documents are counted until their segment is merged.
            let without = (documents - most).max(0.0);
            weights.insert(term.text, ((without + 0.5) / (most + 0.5)).ln_1p());
        }
        Ok(weights)
    }

    /// SHA-256 of the manifest, in hexadecimal: the same for an index of the same files and settings.
    ///
    /// # Errors
    /// The manifest cannot be read.
    pub fn fingerprint(&self) -> Result<String> {
        let path = self.path().join(MANIFEST);
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        Ok(sha256(&bytes))
    }
}

/// Share of the weight of terms that a document contains; 0 where there are no terms.
fn matched(weights: &BTreeMap<String, f64>, document: &Document) -> f64 {
    let mut analyzer = Analyzer::default();
    let texts = document.sections.iter().map(|section| &section.text);
    let terms: BTreeSet<String> = texts
        .chain([&document.title])
        .flat_map(|text| analyzer.terms(text))
        .map(|term| term.text)
        .collect();
    let all: f64 = weights.values().sum();
    let there = weights.iter().filter(|(term, _)| terms.contains(*term));
    let there: f64 = there.map(|(_, weight)| weight).sum();
    match all > 0.0 {
        true => there / all,
        false => 0.0,
    }
}
