//! Figures and sentences that are irrelevant to the answer. Most questions have one such figure, which is sometimes "not
//! reported", so that neither its name nor those two words predict the answer.

use std::fmt::Display;

use crate::numbers::{PValue, PrintedNumber};
use crate::random::Random;
use crate::template::capital;

/// The text printed for a missing figure.
const NOT_REPORTED: &str = "not reported";

/// Which of the deciding figures of a question is missing, if any.
#[derive(Clone, Copy)]
pub(crate) struct MissingFigure(Option<usize>);

impl MissingFigure {
    /// None in most draws, otherwise one of this many deciding figures.
    pub(crate) fn draw(random: &mut Random, figures: u32) -> MissingFigure {
        let missing = random.chance(0.35);
        MissingFigure(missing.then(|| random.whole(0, figures - 1) as usize))
    }

    /// Whether the `nth` deciding figure is missing.
    pub(crate) fn is(self, nth: usize) -> bool {
        self.0 == Some(nth)
    }

    /// Whether any deciding figure is missing.
    pub(crate) fn any(self) -> bool {
        self.0.is_some()
    }

    /// The `nth` figure as the question shows it.
    pub(crate) fn show(self, nth: usize, figure: impl Display) -> String {
        show(!self.is(nth), figure)
    }

    /// An irrelevant figure, missing when no deciding one is.
    pub(crate) fn distractor(self, random: &mut Random) -> String {
        distractor(random, !self.any())
    }
}

/// A figure, or "not reported".
pub(crate) fn show(known: bool, figure: impl Display) -> String {
    match known {
        true => figure.to_string(),
        false => NOT_REPORTED.to_owned(),
    }
}

/// The rationale of an open answer: one of the named figures is missing, and the quantity does not follow from the
/// others. Figures that cannot be missing come last.
pub(crate) fn lacks(
    missing: MissingFigure,
    quantity: &str,
    figures: &[(&str, &dyn Display)],
) -> String {
    let first = figures.iter().enumerate().find(|(nth, _)| missing.is(*nth));
    let name = first.map_or("", |(_, (name, _))| name);
    let known: Vec<String> = figures
        .iter()
        .enumerate()
        .filter(|(nth, _)| !missing.is(*nth))
        .map(|(_, (name, value))| format!("the {name} ({value})"))
        .collect();
    format!(
        "The {name} is missing, and {quantity} does not follow from {} alone.",
        known.join(" and ")
    )
}

/// Name of an irrelevant figure, its lowest and highest value, and its decimals. The name includes the unit, so that
/// the unit is printed even when the value is not reported.
type Distractor = (&'static str, f64, f64, usize);

const DISTRACTORS: &[Distractor] = &[
    ("the number of centres", 3.0, 64.0, 0),
    ("the recruitment period in months", 5.0, 44.0, 0),
    ("the mean distance to the clinic in km", 2.0, 38.0, 1),
    ("the mean heart rate on entry", 62.0, 91.0, 0),
    ("the percentage of forms returned", 51.0, 98.0, 0),
    ("the number of amendments to the protocol", 2.0, 19.0, 0),
    ("the mean length of a visit in minutes", 12.0, 55.0, 0),
    ("the percentage living in a town", 11.0, 88.0, 0),
    ("the mean waiting time in days", 2.0, 49.0, 1),
];

/// The clause "the number of centres was 12", or that it was not reported.
pub(crate) fn distractor(random: &mut Random, missing: bool) -> String {
    let (name, low, high, decimals) = random.pick(DISTRACTORS);
    let value = PrintedNumber::new(random.between(low, high), decimals);
    match missing {
        true => format!("{name} was {NOT_REPORTED}"),
        false => format!("{name} was {value}"),
    }
}

/// An irrelevant figure, missing in half of the draws.
pub(crate) fn any_distractor(random: &mut Random) -> String {
    let missing = random.chance(0.5);
    distractor(random, missing)
}

/// An irrelevant sentence.
fn sentence(random: &mut Random) -> String {
    let [first, second] = [0, 1].map(|_| random.whole(3, 39));
    match random.whole(0, 7) {
        0 => format!("Nausea was noted by {first}% and {second}% of those asked."),
        1 => format!(
            "An earlier survey had been sent to {} people.",
            10 * first + second
        ),
        2 => format!("Before the study, {first}% had taken vitamins."),
        3 => format!(
            "The test of a difference in height gave {} as its p value.",
            PValue::draw(random).number()
        ),
        4 => format!("The laboratory repeated {first}% of its measurements."),
        _ => {
            let missing = random.chance(0.3);
            let clause = distractor(random, missing);
            format!("{}.", capital(&clause))
        }
    }
}

/// The question with one or two irrelevant sentences before it or between its sentences.
pub(crate) fn with_distractors(random: &mut Random, question: &str) -> String {
    let mut sentences: Vec<String> = question.split(". ").map(str::to_owned).collect();
    let last = sentences.len() - 1;
    for sentence in &mut sentences[..last] {
        sentence.push('.');
    }
    for _ in 0..random.whole(1, 2) {
        let place = random.whole(0, sentences.len() as u32 - 1) as usize;
        sentences.insert(place, new_sentence(random, &sentences));
    }
    sentences.join(" ")
}

/// An irrelevant sentence on a subject that the others do not mention, so that none contradicts another.
pub(crate) fn new_sentence(random: &mut Random, sentences: &[String]) -> String {
    loop {
        let new = sentence(random);
        let subject = match new.split_once(" was ") {
            Some((subject, _)) => subject,
            None => &new[..new.len().min(14)],
        };
        let subject = subject.to_lowercase();
        if !sentences
            .iter()
            .any(|sentence| sentence.to_lowercase().contains(&subject))
        {
            return new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MissingFigure, with_distractors};
    use crate::random::Random;

    #[test]
    fn exactly_one_figure_is_missing() {
        let mut random = Random::new(3, 1);
        let mut counts = [0; 3];
        for _ in 0..3000 {
            let missing = MissingFigure::draw(&mut random, 2);
            let shown = [
                missing.show(0, 1.5),
                missing.show(1, 2.5),
                missing.distractor(&mut random),
            ];
            let gone: Vec<usize> = (0..3)
                .filter(|i| shown[*i].contains("not reported"))
                .collect();
            assert_eq!(gone.len(), 1, "{shown:?}");
            counts[gone[0]] += 1;
        }
        assert!(counts.iter().all(|count| *count > 400), "{counts:?}");
    }

    #[test]
    fn distractors_leave_the_question_at_the_end_and_all_its_sentences() {
        let mut random = Random::new(3, 2);
        let mut first = 0;
        for _ in 0..200 {
            let text = with_distractors(&mut random, "It was 3.5. It is 4. Is it so?");
            assert!(text.ends_with(" Is it so?"), "{text}");
            assert!(
                text.contains("It was 3.5. ") && text.contains("It is 4. "),
                "{text}"
            );
            assert!(text.len() > 40, "{text}");
            first += usize::from(text.starts_with("It was"));
        }
        assert!((20..180).contains(&first));
    }
}
