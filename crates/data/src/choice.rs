//! Which sentence of an answer becomes the rationale: the one that answers the question.
//!
//! Conclusions of abstracts often begin with background and end with an outlook. Each sentence gets points for the words
//! it shares with the question, for its place and for how it speaks, and loses them where it contradicts the label
//! ([`contradiction`]) or says nothing yet. The weights were set on one half of 283 answers that were labelled by
//! reading and counted on the other: docs/concepts/data-set.md.

use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;

use crate::contradiction::{contradiction, denies, hedges, limits, overlap, turns};
use crate::rationale::{self, Cleaned};
use crate::text::{regex, words};
use crate::{Label, Rules};

/// A sentence of an answer, as it was weighed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The rationale it would make.
    pub text: String,
    /// Its points; the sentence with the most is kept, the earlier one of equals.
    pub points: f64,
    /// What it got and lost points for.
    pub reasons: Vec<String>,
    /// Whether it became the rationale.
    pub kept: bool,
}

/// Points for the first sentence.
const FIRST: f64 = 0.18;
/// Points that each later sentence loses.
const LATER: f64 = 0.03;

/// Announcements and demands of further work.
static OUTLOOK: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:further|future|additional|more|larger?|prospective|randomi[sz]ed|longitudinal|well-designed|follow-up|subsequent)\b[^.]{0,60}\b(?:stud(?:y|ies)|research|trials?|investigations?|evaluation|analys[ei]s|work|efforts?|experiments|data)\b[^.]{0,80}\b(?:need|warrant|require|should|recommend|necessary|mandatory|will|could|would|planned|clarif|confirm|determine|establish|explore|correlate)|\b(?:needs?|remains?|ought) to be (?:further )?(?:determined|established|clarified|investigated|studied|evaluated|elucidated|confirmed|defined)|\bwarrants? further|\b(?:are|is) (?:planned|under way|presented|discussed|considered)\.$",
    )
});
/// How background, aims and methods are introduced.
static BACKGROUND: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^(?:(?:the )?(?:aim|purpose|objective|goal)s? of|to (?:identify|resolve|determine|assess|evaluate|investigate|further|examine|test)\b|we (?:aimed|sought|investigated|examined|evaluated|assessed|reviewed)|little is known|it is (?:often|generally|commonly|widely) (?:assumed|believed|thought|accepted)|in (?:most|many) (?:countries|cases), it is)|\b(?:is|are) (?:a|an|one of the|the) (?:\w+[ -]){0,4}(?:disease|disorder|syndrome|condition|family|member|class|technique|method|receptor|enzyme|protein kinase|component|problem|step)\b|\bis (?:thought|believed|assumed|defined|known) (?:to be|as|that)\b|\balso (?:called|known as)\b",
    )
});
/// How a conclusion begins.
static CONCLUDES: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^(?:therefore|thus|hence|in conclusion|in summary|to conclude|to summari[sz]e|overall|taken together|together|consequently|for these reasons|conclusions?|we (?:therefore )?conclude|(?:our|these|the) (?:results|findings|data)\b[^.]{0,60}\b(?:suggest|indicate|show|support|demonstrate|implicate))\b",
    )
});
/// What points to a sentence before it.
static POINTS_BACK: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?:These|They|It|Such|Others?|Both|This (?:[a-z]+ )?(?:may|might|is|was|can|could|has|emphasi|highlight|support|suggest|allow|lead|led|indicate|result|recovery|approach|finding|method)|Additionally|In addition|Moreover|Furthermore|Also|Similarly|Likewise|Conversely|Instead|Alternatively|Surprisingly|Specifically|Compared|Among these|Of these|Because of|Given)\b",
    )
});
/// Advice, where the question asks for none.
static ADVICE: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)\b(?:should|must|ought to|recommend(?:ed)?|needs? to|consideration)\b")
});
/// Words of a question that asks for advice.
static ASKS_ADVICE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:should|must|necessary|need(?:ed)?|required|recommend\w*|justif\w*|indicated|mandatory|worth\w*|appropriate|routine|always|role|place|first choice|contraindicat\w*|stopped|replace|ideal|avoid\w*|undertreated|exclu\w*|high risk|treated)\b",
    )
});
/// What leaves a question open.
static OPEN: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:may|might|could|unclear|uncertain|unknown|inconclusive|insufficient|limited|partially|selected|some|more complex|mixed|only|modest\w*|although|however|but|rather than|depends?|appears?|seems?)\b",
    )
});

/// One sentence out of an answer text that is mended and free of citations, as [`rationale::clean`] makes it, and what
/// was weighed. Without a label only the question counts.
pub(crate) fn choose(
    question: &str,
    label: Option<Label>,
    answer: &str,
    rules: &Rules,
) -> (Cleaned, Vec<Candidate>) {
    let mut cleaned = rationale::clean(answer, rules);
    let each = rationale::each_of(answer, rules);
    if each.len() < 2 {
        return (cleaned, Vec::new());
    }
    let mut candidates: Vec<Candidate> = each
        .iter()
        .enumerate()
        .map(|(at, (text, said))| weigh(question, label, at, text, said))
        .collect();
    let best = candidates
        .iter()
        .enumerate()
        .fold(0, |best, (at, candidate)| {
            match candidate.points > candidates[best].points + 1e-9 {
                true => at,
                false => best,
            }
        });
    candidates[best].kept = true;
    if best > 0 {
        cleaned.text = candidates[best].text.clone();
        cleaned.cut = true;
        cleaned.talked = rationale::clean(&each[best].1, rules).talked;
    }
    (cleaned, candidates)
}

/// The points of one sentence. `said` is the sentence before speech about the study was taken off.
fn weigh(question: &str, label: Option<Label>, at: usize, text: &str, said: &str) -> Candidate {
    let mut points = 0.0;
    let mut reasons = Vec::new();
    let mut count = |value: f64, reason: &str| {
        points += value;
        reasons.push(format!("{value:+.2} {reason}"));
    };
    // "Amblyopia: is visual loss permanent?": what asks is behind the colon.
    let asks = question.rsplit(": ").next().unwrap_or(question);
    count(
        (overlap(question, text) + overlap(asks, text)) / 2.0,
        "for words it shares with the question",
    );
    match at {
        0 => count(FIRST, "as the first sentence"),
        _ => count(-LATER * at as f64, "for its place"),
    }
    if let Some(label) = label
        && let Some(found) = contradiction(question, label, text)
    {
        count(-0.8, &format!("contradicts {label} ({})", found.rule));
    }
    match label {
        Some(Label::No) if limits(text) => count(0.18, "denies or limits, as No does"),
        Some(Label::Yes) if denies(text) && !turns(question) => count(-0.2, "denies"),
        Some(Label::Uncertain) if hedges(text) || OPEN.is_match(text) => {
            count(0.15, "leaves something open");
        }
        Some(Label::Uncertain) if denies(text) => count(-0.15, "denies flatly"),
        _ => {}
    }
    if OUTLOOK.is_match(text) {
        count(-0.5, "says what should be studied");
    } else if ADVICE.is_match(text) && !ASKS_ADVICE.is_match(question) {
        count(-0.15, "advises");
    }
    if BACKGROUND.is_match(text) {
        count(-0.25, "gives background, aim or method");
    }
    if CONCLUDES.is_match(said) {
        count(0.15, "concludes");
    }
    if at > 0 && POINTS_BACK.is_match(text) {
        count(-0.12, "depends on the sentence before it");
    }
    if text.ends_with('?') {
        count(-0.6, "asks");
    }
    match words(text) {
        ..5 => count(-0.2, "is very short"),
        60.. => count(-0.1, "is very long"),
        _ => {}
    }
    Candidate {
        text: text.to_owned(),
        points,
        reasons,
        kept: false,
    }
}

#[cfg(test)]
mod tests {
    use super::choose;
    use crate::{Label, Rules};

    #[test]
    fn the_sentence_that_answers_is_kept() {
        for (question, label, answer, kept) in [
            (
                "Does early surgery shorten the stay in hospital?",
                Label::Yes,
                "Hip fracture is a common condition of old age. Early surgery shortened the stay in hospital. Further studies are needed to confirm this.",
                "Early surgery shortened the stay in hospital.",
            ),
            (
                "Does zinc prevent colds in children?",
                Label::No,
                "Zinc was well liked by children. Therefore, zinc does not prevent colds in children.",
                "Therefore, zinc does not prevent colds in children.",
            ),
            (
                "Does zinc prevent colds in children?",
                Label::Yes,
                "Zinc did not prevent colds in adults. In children zinc prevented colds.",
                "In children zinc prevented colds.",
            ),
            (
                "Is screening of all newborns worthwhile?",
                Label::Uncertain,
                "Screening of newborns is not associated with harm. It is unclear whether screening of all newborns is worthwhile.",
                "It is unclear whether screening of all newborns is worthwhile.",
            ),
            (
                "Does zinc prevent colds in children?",
                Label::Yes,
                "Zinc prevents colds. Children liked it.",
                "Zinc prevents colds.",
            ),
        ] {
            let (cleaned, candidates) = choose(question, Some(label), answer, &Rules::default());
            assert_eq!(cleaned.text, kept, "{candidates:#?}");
            assert_eq!(candidates.iter().filter(|of| of.kept).count(), 1);
            let again = choose(question, Some(label), kept, &Rules::default());
            assert_eq!((again.0.text.as_str(), again.1.len()), (kept, 0));
        }
    }
}
