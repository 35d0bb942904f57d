//! The rules that look at one row alone, and the record of what every rule did.

use crate::manifest::{Effect, RuleRecord};
use crate::rationale::{self, MIN_WORDS};
use crate::text::{mend, question_key, words};
use crate::{Item, RawItem, Split, citations};

/// A row after cleaning, before grouping.
pub(crate) struct Clean {
    pub(crate) item: Item,
    pub(crate) keys: Vec<String>,
    pub(crate) question_key: String,
    pub(crate) pin: Option<Split>,
}

/// Rows that each rule touched, in the order the rules work.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) mended: usize,
    pub(crate) cited: usize,
    pub(crate) led_in: usize,
    pub(crate) cut: usize,
    pub(crate) short_question: usize,
    pub(crate) contradicted: usize,
    pub(crate) short_rationale: usize,
    pub(crate) disputed: usize,
    pub(crate) duplicate: usize,
    pub(crate) near: usize,
    pub(crate) protected: usize,
    pub(crate) unbalanced: usize,
}

impl Tally {
    /// What the rules that look at one row alone did to another row too.
    pub(crate) fn add(&mut self, other: Tally) {
        self.mended += other.mended;
        self.cited += other.cited;
        self.led_in += other.led_in;
        self.cut += other.cut;
        self.short_question += other.short_question;
        self.contradicted += other.contradicted;
        self.short_rationale += other.short_rationale;
    }
}

/// One row through the rules that look at it alone, and what they did to it.
pub(crate) fn clean(row: RawItem) -> (Option<Clean>, Tally) {
    let mut tally = Tally::default();
    (cleaned(row, &mut tally), tally)
}

fn cleaned(row: RawItem, tally: &mut Tally) -> Option<Clean> {
    let question = mend(&row.question);
    let answer = mend(&row.answer);
    let context = row.context.as_deref().map(mend);
    let changed = question != row.question
        || answer != row.answer
        || context.as_deref() != row.context.as_deref();
    tally.mended += usize::from(changed);

    let (question, from_question) = citations::remove(&question);
    let (answer, from_answer) = citations::remove(&answer);
    let (context, from_context) = match context.as_deref().map(citations::remove) {
        Some((text, found)) => (Some(text).filter(|text| !text.is_empty()), found),
        None => (None, Vec::new()),
    };
    let cited = from_question.len() + from_answer.len() + from_context.len() > 0;
    tally.cited += usize::from(cited);

    let question = as_question(question);
    if words(&question) < MIN_WORDS {
        tally.short_question += 1;
        return None;
    }
    let cleaned = rationale::clean(&answer);
    tally.led_in += usize::from(cleaned.lead.is_some());
    tally.cut += usize::from(cleaned.cut);
    if cleaned.lead.is_some_and(|lead| lead != row.label) {
        tally.contradicted += 1;
        return None;
    }
    if cleaned.text.is_empty() {
        tally.short_rationale += 1;
        return None;
    }
    let question_key = question_key(&question, context.as_deref());
    let mut keys = row.group;
    keys.push(question_key.clone());
    let text = Item::render(context.as_deref(), &question, row.label, &cleaned.text);
    let item = Item {
        id: row.id,
        question,
        label: row.label,
        rationale: cleaned.text,
        source: row.source,
        group: String::new(),
        context,
        text,
    };
    Some(Clean {
        item,
        keys,
        question_key,
        pin: row.split,
    })
}

/// A question ends with its mark.
fn as_question(mut question: String) -> String {
    if !question.contains('?') {
        let kept = question
            .trim_end_matches(['.', ',', ';', ':', '!', ' '])
            .len();
        question.truncate(kept);
        if !question.is_empty() {
            question.push('?');
        }
    }
    question
}

/// Every rule of a build and the rows it touched, in the order they work.
pub(crate) fn rules(tally: &Tally) -> Vec<RuleRecord> {
    use Effect::{Changed, Dropped, Tied};
    [
        (
            "mend",
            Changed,
            tally.mended,
            "mark-up leftovers, entities, blanks and spacing put right",
        ),
        (
            "citations",
            Changed,
            tally.cited,
            "citations removed from question, answer and context",
        ),
        (
            "short-question",
            Dropped,
            tally.short_question,
            "the question has fewer than three words",
        ),
        (
            "lead-in",
            Changed,
            tally.led_in,
            "label word taken off the answer's beginning",
        ),
        (
            "first-sentence",
            Changed,
            tally.cut,
            "answer cut to its first sentence of three or more words",
        ),
        (
            "contradicted",
            Dropped,
            tally.contradicted,
            "the answer opens with another label than the row's",
        ),
        (
            "no-rationale",
            Dropped,
            tally.short_rationale,
            "the answer has no sentence of three or more words",
        ),
        (
            "disputed",
            Dropped,
            tally.disputed,
            "the same question stands under two labels; all its rows go",
        ),
        (
            "duplicate",
            Dropped,
            tally.duplicate,
            "the same question was there before",
        ),
        (
            "near",
            Tied,
            tally.near,
            "tied to a row with nearly the same question or rationale",
        ),
        (
            "protected",
            Dropped,
            tally.protected,
            "a benchmark asks it, or a row that is tied to it",
        ),
        (
            "balance",
            Dropped,
            tally.unbalanced,
            "left out by the seeded sample that makes the classes equal",
        ),
    ]
    .into_iter()
    .map(|(rule, effect, rows, about)| RuleRecord {
        rule: rule.to_owned(),
        about: about.to_owned(),
        effect,
        rows,
    })
    .collect()
}
