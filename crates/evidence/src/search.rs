//! Ranking: which documents answer a question best.
//!
//! 1. **Candidates**: the documents with the highest sum of BM25 scores (k1 = 1.2, b = 0.75; Robertson and Zaragoza,
//!    "The Probabilistic Relevance Framework", 2009) over the question's terms in title and abstract, each term once.
//!    The search engine finds them with block-max WAND, without looking at all documents.
//! 2. **Ranking**: the candidates are scored anew, always in the same order of terms, so that a score does not depend
//!    on how the index is divided into segments. Equal scores are ordered by id.
//!
//! Retracted publications and excluded ids are left out among the candidates; if too few remain, more candidates are
//! taken. Filters by year, type and MeSH are part of the first step.

use std::collections::BTreeSet;
use std::ops::Bound;

use tantivy::collector::TopDocs;
use tantivy::query::{
    BooleanQuery, BoostQuery, ConstScoreQuery, EnableScoring, Occur, Query, RangeQuery, TermQuery,
};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocAddress, Term};

use crate::analysis::{Analyzer, QueryTerm};
use crate::index::{RETRACTED, exact};
use crate::{Error, Filters, Hit, Index, Result, SearchQuery};

/// The settings of the ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranking {
    /// Weight of a term of several pieces (`il6`) against those of its pieces.
    pub joined: f32,
    /// Least number of candidates that are scored anew.
    pub candidates: usize,
}

impl Default for Ranking {
    fn default() -> Self {
        Self {
            joined: 0.3,
            candidates: 50,
        }
    }
}

/// Scores that differ by a smaller share are the same sum in another order.
const ROUNDING: f32 = 1e-5;

/// Among more candidates of the same score, which of them are ordered by their ids depends on the index's segments.
const MOST_TIES: usize = 2_000;

/// A part of the ranking: a query that adds its score.
type Clause = Box<dyn Query>;

impl Index {
    /// The documents that answer the question best, in order; none if it has no terms that are searched for.
    ///
    /// # Errors
    /// The index is damaged.
    pub fn search(&self, query: &SearchQuery) -> Result<Vec<Hit>> {
        self.search_with(query, &Ranking::default())
    }

    /// The same with other settings.
    ///
    /// # Errors
    /// The index is damaged.
    pub fn search_with(&self, query: &SearchQuery, ranking: &Ranking) -> Result<Vec<Hit>> {
        let terms = distinct(Analyzer::default().terms(query.text));
        if terms.is_empty() || query.top == 0 || self.is_empty() {
            return Ok(Vec::new());
        }
        let engine = || Error::engine(self.path());
        let clauses = self.term_clauses(&terms, ranking);
        let first = self.first_step(&clauses, &query.filters);
        let excluded = self.excluded(&query.filters).map_err(engine())?;
        let mut wanted = ranking.candidates.max(query.top * 2);
        let candidates = loop {
            let collector = TopDocs::with_limit(wanted).order_by_score();
            let found = self.searcher.search(&first, &collector).map_err(engine())?;
            let all = found.len() < wanted;
            let lowest = found.last().map_or(0.0, |&(score, _)| score);
            let left = found.into_iter().filter(|(_, at)| !excluded.contains(at));
            let left: Vec<(f32, DocAddress)> = left.collect();
            let worst = left.get(query.top - 1).map(|&(score, _)| score);
            // What was not taken must be worse than what is shown, not just as good.
            let enough = worst.is_some_and(|worst| lowest < worst * (1.0 - ROUNDING));
            if all || enough || (worst.is_some() && wanted > MOST_TIES) {
                break left.into_iter().map(|(_, at)| at).collect();
            }
            wanted *= 4;
        };
        let scores = self.scores(&clauses, candidates).map_err(engine())?;
        self.best(scores, query.top)
    }

    /// Each term, with its weight.
    fn term_clauses(&self, terms: &[QueryTerm], ranking: &Ranking) -> Vec<Clause> {
        let clause = |term: &QueryTerm| -> Clause {
            let weight = if term.joined { ranking.joined } else { 1.0 };
            let indexed = Term::from_field_text(self.fields.text, &term.text);
            let query = TermQuery::new(indexed, IndexRecordOption::WithFreqs);
            Box::new(BoostQuery::new(Box::new(query), weight))
        };
        terms.iter().map(clause).collect()
    }

    /// What finds the candidates: any of the terms, and all filters.
    fn first_step(&self, clauses: &[Clause], filters: &Filters) -> BooleanQuery {
        let any = clauses
            .iter()
            .map(|clause| (Occur::Should, clause.box_clone()));
        let any = BooleanQuery::new(any.collect());
        let filters = self.filters(filters);
        if filters.is_empty() {
            return any;
        }
        let must = filters.into_iter().map(|filter| {
            let silent: Clause = Box::new(ConstScoreQuery::new(filter, 0.0));
            (Occur::Must, silent)
        });
        let any: Clause = Box::new(any);
        BooleanQuery::new(std::iter::once((Occur::Must, any)).chain(must).collect())
    }

    fn filters(&self, filters: &Filters) -> Vec<Clause> {
        let term = |field, name: &str| -> Clause {
            Box::new(TermQuery::new(
                Term::from_field_text(field, &exact(name)),
                IndexRecordOption::Basic,
            ))
        };
        let mut all: Vec<Clause> = Vec::new();
        if let Some(years) = &filters.years {
            let year =
                |year: u16| Bound::Included(Term::from_field_u64(self.fields.year, year.into()));
            all.push(Box::new(RangeQuery::new(
                year(*years.start()),
                year(*years.end()),
            )));
        }
        if !filters.types.is_empty() {
            let any = filters
                .types
                .iter()
                .map(|name| (Occur::Should, term(self.fields.types, name)));
            all.push(Box::new(BooleanQuery::new(any.collect())));
        }
        all.extend(
            filters
                .mesh
                .iter()
                .map(|heading| term(self.fields.mesh, heading)),
        );
        all
    }

    /// Where the documents are that must not be found: retracted ones, and those of excluded ids.
    fn excluded(&self, filters: &Filters) -> tantivy::Result<BTreeSet<DocAddress>> {
        let mut terms: Vec<Term> = filters
            .without
            .iter()
            .map(|id| self.fields.of_id(id))
            .collect();
        if !filters.retracted {
            terms.push(Term::from_field_text(self.fields.flags, RETRACTED));
        }
        let mut places = BTreeSet::new();
        for term in terms {
            let query = TermQuery::new(term, IndexRecordOption::Basic);
            places.extend(
                self.searcher
                    .search(&query, &tantivy::collector::DocSetCollector)?,
            );
        }
        Ok(places)
    }

    /// The score of each candidate: the sum over all clauses, in their order.
    fn scores(
        &self,
        clauses: &[Clause],
        mut candidates: Vec<DocAddress>,
    ) -> tantivy::Result<Vec<(f32, DocAddress)>> {
        candidates.sort_unstable();
        let mut scores: Vec<_> = candidates.into_iter().map(|at| (0.0, at)).collect();
        let scoring = EnableScoring::enabled_from_searcher(&self.searcher);
        for clause in clauses {
            let weight = clause.weight(scoring)?;
            for segment in scores.chunk_by_mut(|a, b| a.1.segment_ord == b.1.segment_ord) {
                let reader = self.searcher.segment_reader(segment[0].1.segment_ord);
                let mut scorer = weight.scorer(reader, 1.0)?;
                for (score, at) in segment {
                    if scorer.doc() < at.doc_id {
                        scorer.seek(at.doc_id);
                    }
                    if scorer.doc() == at.doc_id {
                        *score += scorer.score();
                    }
                }
            }
        }
        Ok(scores)
    }

    /// The best of the candidates; equal scores by id, numbers by size.
    fn best(&self, mut scores: Vec<(f32, DocAddress)>, top: usize) -> Result<Vec<Hit>> {
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        let Some(&(last, _)) = scores.get(top.min(scores.len()).wrapping_sub(1)) else {
            return Ok(Vec::new());
        };
        let in_question = scores.into_iter().take_while(|&(score, _)| score >= last);
        let hit = |(score, at)| self.stored(at).map(|document| Hit { document, score });
        let mut hits = in_question.map(hit).collect::<Result<Vec<_>>>()?;
        hits.sort_by(|a, b| {
            let by_id =
                (a.document.id.len(), &a.document.id).cmp(&(b.document.id.len(), &b.document.id));
            b.score.total_cmp(&a.score).then(by_id)
        });
        hits.truncate(top);
        Ok(hits)
    }
}

/// Each term once, at its first position.
fn distinct(terms: Vec<QueryTerm>) -> Vec<QueryTerm> {
    let mut seen = BTreeSet::new();
    terms
        .into_iter()
        .filter(|term| seen.insert(term.text.clone()))
        .collect()
}
