//! The rules that look at one row alone, and the record of what every rule did.

use serde::{Deserialize, Serialize};

use super::settings::BuildSettings;
use crate::choice::choose;
use crate::manifest::{Effect, RuleRecord};
use crate::mend::mend_by;
use crate::near::{Shingles, hash};
use crate::normal::{normal, question_key_of_normal};
use crate::text::words;
use crate::{Label, RawItem, Rules, Source, Split};

/// A cleaned row as it is stored until its split is decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredExample {
    pub(crate) id: String,
    pub(crate) question: String,
    pub(crate) label: Option<Label>,
    pub(crate) rationale: String,
    pub(crate) source: String,
    pub(crate) context: Option<String>,
    /// The first of its keys, by which its group may be named.
    pub(crate) name: String,
    pub(crate) year: Option<u16>,
    pub(crate) mesh: Vec<String>,
}

/// A row after cleaning, and what ties it to others.
pub(crate) struct CleanedExample {
    pub(crate) kept: StoredExample,
    /// Hashes of the keys.
    pub(crate) keys: Vec<u64>,
    /// Hash of the key that only a duplicate shares.
    pub(crate) question_key: u64,
    pub(crate) pin: Option<Split>,
    pub(crate) question: Shingles,
    pub(crate) rationale: Shingles,
}

/// Rows that each rule touched, in the order the rules work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) read: usize,
    /// Rows whose context was cut, the bytes of these contexts, and the bytes cut off.
    pub(crate) shortened: usize,
    #[serde(default)]
    pub(crate) shortened_bytes: usize,
    #[serde(default)]
    pub(crate) bytes_cut: usize,
    pub(crate) talked: usize,
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
    pub(crate) capped: usize,
    pub(crate) unbalanced: usize,
    pub(crate) disagreed: usize,
    pub(crate) held_out: usize,
    pub(crate) unlabelled: usize,
}

impl Tally {
    /// What the rules that look at one row alone did to another row too.
    pub(crate) fn add(&mut self, other: Tally) {
        self.read += other.read;
        self.shortened += other.shortened;
        self.shortened_bytes += other.shortened_bytes;
        self.bytes_cut += other.bytes_cut;
        self.talked += other.talked;
        self.mended += other.mended;
        self.cited += other.cited;
        self.led_in += other.led_in;
        self.cut += other.cut;
        self.short_question += other.short_question;
        self.contradicted += other.contradicted;
        self.short_rationale += other.short_rationale;
    }
}

/// One row through the rules that look at it alone, and what they did to it. `trace` gets every change:
/// the rule, the text before and after.
pub(crate) fn clean(
    row: RawItem,
    settings: &BuildSettings,
    trace: &mut dyn FnMut(&'static str, &str, &str),
) -> (Option<CleanedExample>, Tally) {
    let mut tally = Tally {
        read: 1,
        ..Tally::default()
    };
    (cleaned(row, settings, &mut tally, trace), tally)
}

fn cleaned(
    row: RawItem,
    settings: &BuildSettings,
    tally: &mut Tally,
    trace: &mut dyn FnMut(&'static str, &str, &str),
) -> Option<CleanedExample> {
    let rules = &settings.rules;
    let mut changed = |rule, before: &str, after: &str| {
        let changed = before != after;
        if changed {
            trace(rule, before, after);
        }
        changed
    };
    let (question, answer, context) = texts(&row, settings, tally, &mut changed);
    if words(&question) < rules.question_words {
        tally.short_question += 1;
        return None;
    }
    let (cleaned, _) = choose(&question, row.label, &answer, rules);
    changed("rationale", &answer, &cleaned.text);
    tally.led_in += usize::from(cleaned.lead.is_some());
    tally.talked += usize::from(cleaned.talked);
    tally.cut += usize::from(cleaned.cut);
    if let (Some(lead), Some(label)) = (cleaned.lead, row.label)
        && lead != label
    {
        tally.contradicted += 1;
        return None;
    }
    if cleaned.text.is_empty() {
        tally.short_rationale += 1;
        return None;
    }
    Some(with_keys(row, question, cleaned.text, context))
}

/// Question, answer and context of a row: mended, without citations, the context cut to its budget. `changed` gets the
/// rule, the text before and after, and returns whether they differ.
fn texts(
    row: &RawItem,
    settings: &BuildSettings,
    tally: &mut Tally,
    changed: &mut dyn FnMut(&'static str, &str, &str) -> bool,
) -> (String, String, Option<String>) {
    let rules = &settings.rules;
    let answer = mend_by(&row.answer, rules);
    let context = row.context.as_deref().map(|text| mend_by(text, rules));
    let mut mended = false;
    let mut cited = false;
    let question = question(&row.question, rules, &mut |rule, before, after| {
        let changed = changed(rule, before, after);
        match rule {
            "mend" => mended |= changed,
            _ => cited |= changed,
        }
    });
    let mended = [
        mended,
        changed("mend", &row.answer, &answer),
        changed(
            "mend",
            row.context.as_deref().unwrap_or_default(),
            context.as_deref().unwrap_or_default(),
        ),
    ];
    tally.mended += usize::from(mended.contains(&true));

    let mut uncited = |text: &str, changed: &mut dyn FnMut(&'static str, &str, &str) -> bool| {
        let (without, found) = rules.citations.remove(text);
        changed("citations", text, &without);
        cited |= !found.is_empty();
        without
    };
    let answer = uncited(&answer, changed);
    let context = context.map(|text| uncited(&text, changed));
    let context = context.filter(|text| !text.is_empty());
    let context = context.map(|text| match &settings.context {
        Some(budget) => {
            let cut = budget.cut(&text).to_owned();
            if changed("context", &text, &cut) {
                tally.shortened += 1;
                tally.shortened_bytes += text.len();
                tally.bytes_cut += text.len() - cut.len();
            }
            cut
        }
        None => text,
    });
    tally.cited += usize::from(cited);
    (question, answer, context)
}

/// A cleaned row with the keys and word pairs that tie it to others.
fn with_keys(
    row: RawItem,
    question: String,
    rationale: String,
    context: Option<String>,
) -> CleanedExample {
    let normal = normal(&question);
    let mut keys = row.group;
    let key = question_key_of_normal(&normal, None);
    let question_key = match &context {
        Some(context) => hash(&[&question_key_of_normal(&normal, Some(context))]),
        None => hash(&[&key]),
    };
    keys.push(key);
    // Generated rows differ in their numbers, which are what they ask for; their wordings are their keys.
    let shingles = |normal: &str| match Source::generates(row.source) {
        true => Shingles::default(),
        false => Shingles::of_normal(normal),
    };
    CleanedExample {
        question: shingles(&normal),
        rationale: shingles(&self::normal(&rationale)),
        keys: keys.iter().map(|key| hash(&[key])).collect(),
        question_key,
        pin: row.split,
        kept: StoredExample {
            id: row.id,
            question,
            label: row.label,
            rationale,
            source: row.source.to_owned(),
            context,
            name: keys.swap_remove(0),
            year: row.year,
            mesh: row.mesh,
        },
    }
}

/// A question as in training and in prompts: mended, without citations, ended with its
/// mark. `changed` gets the rule, the text before and after.
pub(crate) fn question(
    text: &str,
    rules: &Rules,
    changed: &mut dyn FnMut(&'static str, &str, &str),
) -> String {
    let mended = mend_by(text, rules);
    changed("mend", text, &mended);
    let (without, _) = rules.citations.remove(&mended);
    changed("citations", &mended, &without);
    as_question(without)
}

/// A question ends with its mark, of whatever script.
fn as_question(mut question: String) -> String {
    if !question.contains(['?', '？', '؟', '\u{37e}', '⁇', '⁈', '⁉', '︖', '՞', '፧']) {
        let kept = question
            .trim_end_matches([
                '.', ',', ';', ':', '!', ' ', '。', '．', '，', '；', '：', '！', '।',
            ])
            .len();
        question.truncate(kept);
        if !question.is_empty() {
            question.push('?');
        }
    }
    question
}

/// What the rule on contexts does; where it cut some, the share cut off follows.
const CONTEXT_CUT: &str = "context cut to its budget of tokens, whole sentences from the front";

/// A rule: its name, its effect, its rows in a tally, and what it does.
type Rule = (&'static str, Effect, fn(&Tally) -> usize, &'static str);

/// Every rule of a build, in order.
const RULES: &[Rule] = &[
    (
        "mend",
        Effect::Changed,
        |tally| tally.mended,
        "mark-up leftovers, entities, blanks and spacing put right",
    ),
    (
        "citations",
        Effect::Changed,
        |tally| tally.cited,
        "citations removed from question, answer and context",
    ),
    (
        "context",
        Effect::Changed,
        |tally| tally.shortened,
        CONTEXT_CUT,
    ),
    (
        "short-question",
        Effect::Dropped,
        |tally| tally.short_question,
        "the question has fewer than three words",
    ),
    (
        "lead-in",
        Effect::Changed,
        |tally| tally.led_in,
        "label word taken off the answer's beginning",
    ),
    (
        "one-sentence",
        Effect::Changed,
        |tally| tally.cut,
        "answer cut to the sentence of three or more words that answers the question best",
    ),
    (
        "study-speak",
        Effect::Changed,
        |tally| tally.talked,
        "speech about the study, or a label word, taken off the rationale",
    ),
    (
        "contradicted",
        Effect::Dropped,
        |tally| tally.contradicted,
        "the answer opens with another label than the row's",
    ),
    (
        "no-rationale",
        Effect::Dropped,
        |tally| tally.short_rationale,
        "the answer has no sentence of three or more words",
    ),
    (
        "disputed",
        Effect::Dropped,
        |tally| tally.disputed,
        "the same question has two labels; all its rows go",
    ),
    (
        "disagreement",
        Effect::Dropped,
        |tally| tally.disagreed,
        "sources answer the same question differently; one Uncertain row names the disagreement, the others go",
    ),
    (
        "duplicate",
        Effect::Dropped,
        |tally| tally.duplicate,
        "the same question was there before",
    ),
    (
        "near",
        Effect::Tied,
        |tally| tally.near,
        "tied to a row with nearly the same question or rationale",
    ),
    (
        "protected",
        Effect::Dropped,
        |tally| tally.protected,
        "a protected benchmark has it, or a row that is tied to it",
    ),
    (
        "cap",
        Effect::Dropped,
        |tally| tally.capped,
        "its source, or its source's class, has reached its cap",
    ),
    (
        "balance",
        Effect::Dropped,
        |tally| tally.unbalanced,
        "left out by the seeded sample that makes the classes equal",
    ),
    (
        "held-out",
        Effect::Dropped,
        |tally| tally.held_out,
        "has no label, and is tied to a row of validation or test",
    ),
    (
        "unlabelled",
        Effect::Apart,
        |tally| tally.unlabelled,
        "has no label: goes to unlabelled.jsonl",
    ),
];

/// Every rule of a build and the rows it touched, in order.
pub(crate) fn rules(tally: &Tally) -> Vec<RuleRecord> {
    let record = |(rule, effect, rows, about): &Rule| RuleRecord {
        rule: (*rule).to_owned(),
        about: match (*about, tally.shortened_bytes) {
            (CONTEXT_CUT, 1..) => {
                let share = tally.bytes_cut as f64 / tally.shortened_bytes as f64;
                format!("{about}: {:.1} % of their text", 100.0 * share)
            }
            _ => (*about).to_owned(),
        },
        effect: *effect,
        rows: rows(tally),
    };
    RULES.iter().map(record).collect()
}
