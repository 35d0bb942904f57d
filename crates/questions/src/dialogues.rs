//! Cases whose figures are corrected once the question is asked: for dialogues in evaluation, not for training.
//!
//! A case is drawn, and then another one of the same wording whose text differs in its figures alone and whose answer is
//! another one. To find it, the case is drawn again from a stream that repeats the first draws (the scene) and then goes
//! another way, until the texts agree except for their figures. Both answers are computed by the wording's own rule.

use std::collections::HashSet;

use crate::distractors::new_sentence;
use crate::families::FAMILIES;
use crate::generate::truth_for;
use crate::plan::{QuestionForm, forms};
use crate::question::{Answer, GeneratedQuestion};
use crate::random::Random;
use crate::template::fill;

/// A question whose figures are then corrected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectedQuestion {
    /// The question as it is first asked. Its id is `stats-dialogue:{family}/{wording}/{level}:{row:06}`.
    pub first: GeneratedQuestion,
    /// The sentences that give its figures: the question without its last sentence.
    pub figures: String,
    /// Its last sentence, which makes the claim.
    pub claim: String,
    /// The same sentences with other figures.
    pub corrected_figures: String,
    /// The claim with the corrected figures; differs only where the claim contains a figure.
    pub corrected_claim: String,
    /// The answer with the corrected figures, which is never that of `first`.
    pub corrected: Answer,
    /// A sentence that is irrelevant to the answer.
    pub irrelevant: String,
}

/// Name of the random stream.
const DIALOGUES: &str = "stats dialogues";
/// Attempts to find other figures for a case before another case is drawn.
const ATTEMPTS: usize = 2_000;
/// Cases that are drawn of a wording before another family is taken: where a missing figure changes more than itself in
/// the text, no two cases differ in their figures alone, one answered Uncertain and the other not.
const CASES: usize = 8;
/// The most draws that a second case repeats: more than any scene takes.
const REPEATED: usize = 40;

/// `rows` different questions of held-out wordings and families, each with corrected figures; first answers, corrected
/// answers and families take turns (where a wording has no such change, the next family takes its place). The same
/// arguments give the same questions, and more rows only add some at the end.
pub fn corrected_questions(rows: usize, seed: u64) -> Vec<CorrectedQuestion> {
    let all = FAMILIES.iter().map(|family| forms(family, true, &[]));
    // Irrelevant sentences come as turns of their own, and the figures need sentences of their own.
    let usable = |form: &QuestionForm| !form.distractors && form.wording.template.contains(". ");
    let plain = all.map(|forms| forms.into_iter().filter(usable).collect());
    let plan: Vec<Vec<QuestionForm>> = plain.filter(|forms: &Vec<_>| !forms.is_empty()).collect();
    let mut seen = HashSet::with_capacity(rows);
    let row = |row| corrected_question(row, seed, &plan, &mut seen);
    (0..rows).map(row).collect()
}

fn corrected_question(
    row: usize,
    seed: u64,
    plan: &[Vec<QuestionForm>],
    seen: &mut HashSet<String>,
) -> CorrectedQuestion {
    let answer = Answer::ALL[row % 3];
    let corrected = Answer::ALL[(row % 3 + 1 + row / 3 % 2) % 3];
    let mut random = Random::of(seed, DIALOGUES, row);
    // Each time round, a family meets other answers.
    let mut family = row + row / plan.len();
    let mut form = random.pick(&plan[family % plan.len()]);
    let first = random.chance(0.5);
    let [truth, corrected_truth] = [answer, corrected].map(|answer| truth_for(answer, first));
    let mut cases = 0;
    // This loop ends: most wordings have every change of the answer, and the families take turns.
    loop {
        if cases == CASES {
            cases = 0;
            family += 1;
            form = random.pick(&plan[family % plan.len()]);
        }
        let (family, wording) = (form.family, form.wording);
        let before = random.clone();
        let Some(case) = (wording.draw)(&mut random).filter(|case| case.truth == truth) else {
            continue;
        };
        cases += 1;
        let question = fill(wording.template, &case.slots, first);
        let shape = without_figures(&question);
        let found = (0..ATTEMPTS).find_map(|attempt| {
            random.unit();
            let mut stream = before.joined(attempt % REPEATED, random.clone());
            let other = (wording.draw)(&mut stream)?;
            let text = fill(wording.template, &other.slots, first);
            (other.truth == corrected_truth && without_figures(&text) == shape).then_some(text)
        });
        let Some(other) = found.filter(|_| seen.insert(question.clone())) else {
            continue;
        };
        let (figures, claim) = parts(&question);
        let (corrected_figures, corrected_claim) = parts(&other);
        let sentences: Vec<String> = question.split(". ").map(str::to_owned).collect();
        return CorrectedQuestion {
            irrelevant: new_sentence(&mut random, &sentences),
            figures,
            claim,
            corrected_figures,
            corrected_claim,
            corrected,
            first: GeneratedQuestion {
                id: format!(
                    "stats-dialogue:{}/{}/{}:{row:06}",
                    family.name,
                    wording.name,
                    form.level()
                ),
                question,
                answer,
                rationale: case.rationale,
                group: format!("stats-dialogue:{}/{}", family.name, wording.name),
                held_out: true,
            },
        };
    }
}

/// The sentences with the figures, and the last one with the claim.
fn parts(question: &str) -> (String, String) {
    let (figures, claim) = question
        .rsplit_once(". ")
        .expect("a sentence before the claim");
    (format!("{figures}."), claim.to_owned())
}

/// The text with each figure, also one that is not reported, replaced by a mark.
fn without_figures(text: &str) -> String {
    let text = text.replace("not reported", "0");
    let letters: Vec<char> = text.chars().collect();
    let digit = |place: usize| letters.get(place).is_some_and(char::is_ascii_digit);
    let mut out = String::with_capacity(text.len());
    for (place, letter) in letters.iter().enumerate() {
        let inside = matches!(letter, '.' | ',' | '-' | '−' | '<') && digit(place + 1);
        match digit(place) || inside {
            true if out.ends_with('#') => (),
            true => out.push('#'),
            false => out.push(*letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rederive;

    fn family(id: &str) -> &str {
        id.split([':', '/']).nth(1).unwrap()
    }

    #[test]
    fn both_answers_follow_from_the_printed_text() {
        let rows = 6 * FAMILIES.len();
        let all = corrected_questions(rows, 4);
        let mut wordings = BTreeSet::new();
        for one in &all {
            let (first, family) = (&one.first, family(&one.first.id));
            wordings.insert(first.group.clone());
            assert_eq!(rederive::answer_of(family, &first.question), first.answer);
            assert_eq!(format!("{} {}", one.figures, one.claim), first.question);
            let corrected = format!("{} {}", one.corrected_figures, one.corrected_claim);
            let derived = rederive::answer_of(family, &corrected);
            assert_eq!(derived, one.corrected, "{}: {corrected}", first.id);
            assert_ne!(first.answer, one.corrected);
            assert_eq!(
                without_figures(&first.question),
                without_figures(&corrected)
            );
            assert!(!first.question.contains(&one.irrelevant));
        }
        assert!(wordings.len() > 30, "{}", wordings.len());
        for answer in Answer::ALL {
            let count = |of: fn(&CorrectedQuestion) -> Answer| {
                all.iter().filter(|one| of(one) == answer).count()
            };
            assert_eq!(count(|one| one.first.answer), rows / 3);
            assert_eq!(count(|one| one.corrected), rows / 3);
        }
    }

    #[test]
    fn a_longer_run_starts_with_the_rows_of_a_shorter_one() {
        assert_eq!(corrected_questions(40, 1)[..12], corrected_questions(12, 1));
        assert_ne!(corrected_questions(6, 1), corrected_questions(6, 2));
    }

    #[test]
    fn figures_are_numbers_signs_and_missing_values() {
        for (text, shape) in [
            ("RR 0.85 (−1.2 to 3,400).", "RR # (# to #)."),
            ("p was not reported. Is it <0.001?", "p was #. Is it #?"),
            ("follow-up of 12 months", "follow-up of # months"),
        ] {
            assert_eq!(without_figures(text), shape);
        }
    }
}
