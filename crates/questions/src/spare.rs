//! Figures that no answer needs: one in most questions, "not reported" in some, so that neither
//! their names nor those two words say anything about the label; and whole sentences of them.

use std::fmt::Display;

use crate::print::{Num, P, capital};
use crate::random::Random;

/// What stands for a missing figure.
const HIDDEN: &str = "not reported";

/// Which figure of a question is missing.
#[derive(Clone, Copy)]
pub(crate) struct Hidden(Option<usize>);

impl Hidden {
    /// One of `figures` that decide, or, in most draws, none of them.
    pub(crate) fn draw(random: &mut Random, figures: u32) -> Hidden {
        let hidden = random.chance(0.35);
        Hidden(hidden.then(|| random.whole(0, figures - 1) as usize))
    }

    /// Whether the `nth` figure that decides is missing.
    pub(crate) fn is(self, nth: usize) -> bool {
        self.0 == Some(nth)
    }

    /// Whether any figure that decides is missing.
    pub(crate) fn any(self) -> bool {
        self.0.is_some()
    }

    /// The `nth` figure as the question shows it.
    pub(crate) fn show(self, nth: usize, figure: impl Display) -> String {
        show(!self.is(nth), figure)
    }

    /// A figure without bearing, missing where none that decides is.
    pub(crate) fn spare(self, random: &mut Random) -> String {
        spare(random, !self.any())
    }
}

/// A figure, or that it is not reported.
pub(crate) fn show(known: bool, figure: impl Display) -> String {
    match known {
        true => figure.to_string(),
        false => HIDDEN.to_owned(),
    }
}

/// Why the answer is open: one of the named figures is missing, and the quantity does not follow from
/// the others. Figures after those that can be missing are known.
pub(crate) fn lacks(hidden: Hidden, quantity: &str, figures: &[(&str, &dyn Display)]) -> String {
    let missing = figures.iter().enumerate().find(|(nth, _)| hidden.is(*nth));
    let name = missing.map_or("", |(_, (name, _))| name);
    let known: Vec<String> = figures
        .iter()
        .enumerate()
        .filter(|(nth, _)| !hidden.is(*nth))
        .map(|(_, (name, value))| format!("the {name} ({value})"))
        .collect();
    format!(
        "The {name} is missing, and {quantity} does not follow from {} alone.",
        known.join(" and ")
    )
}

/// What is measured, its lowest and highest value, and its decimals. Units stand in the name, so that
/// they are there without the value.
type Spare = (&'static str, f64, f64, usize);

const SPARES: &[Spare] = &[
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
pub(crate) fn spare(random: &mut Random, hidden: bool) -> String {
    let (name, low, high, decimals) = random.pick(SPARES);
    let value = Num::new(random.between(low, high), decimals);
    match hidden {
        true => format!("{name} was {HIDDEN}"),
        false => format!("{name} was {value}"),
    }
}

/// A figure without bearing, missing in every other draw.
pub(crate) fn any_spare(random: &mut Random) -> String {
    let hidden = random.chance(0.5);
    spare(random, hidden)
}

/// A sentence without bearing.
fn aside(random: &mut Random) -> String {
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
            P::draw(random).number()
        ),
        4 => format!("The laboratory repeated {first}% of its measurements."),
        _ => {
            let hidden = random.chance(0.3);
            let clause = spare(random, hidden);
            format!("{}.", capital(&clause))
        }
    }
}

/// The question with one or two sentences without bearing before it or between its sentences.
pub(crate) fn with_asides(random: &mut Random, question: &str) -> String {
    let mut sentences: Vec<String> = question.split(". ").map(str::to_owned).collect();
    let last = sentences.len() - 1;
    for sentence in &mut sentences[..last] {
        sentence.push('.');
    }
    for _ in 0..random.whole(1, 2) {
        let place = random.whole(0, sentences.len() as u32 - 1) as usize;
        sentences.insert(place, new_aside(random, &sentences));
    }
    sentences.join(" ")
}

/// An aside on something that the sentences do not speak of: they could contradict each other.
fn new_aside(random: &mut Random, sentences: &[String]) -> String {
    loop {
        let aside = aside(random);
        let subject = match aside.split_once(" was ") {
            Some((subject, _)) => subject,
            None => &aside[..aside.len().min(14)],
        };
        let subject = subject.to_lowercase();
        if !sentences
            .iter()
            .any(|sentence| sentence.to_lowercase().contains(&subject))
        {
            return aside;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Hidden, with_asides};
    use crate::random::Random;

    #[test]
    fn exactly_one_figure_is_missing() {
        let mut random = Random::new(3, 1);
        let mut missing = [0; 3];
        for _ in 0..3000 {
            let hidden = Hidden::draw(&mut random, 2);
            let shown = [
                hidden.show(0, 1.5),
                hidden.show(1, 2.5),
                hidden.spare(&mut random),
            ];
            let gone: Vec<usize> = (0..3)
                .filter(|i| shown[*i].contains("not reported"))
                .collect();
            assert_eq!(gone.len(), 1, "{shown:?}");
            missing[gone[0]] += 1;
        }
        assert!(missing.iter().all(|count| *count > 400), "{missing:?}");
    }

    #[test]
    fn asides_leave_the_question_at_the_end_and_all_its_sentences() {
        let mut random = Random::new(3, 2);
        let mut first = 0;
        for _ in 0..200 {
            let text = with_asides(&mut random, "It was 3.5. It is 4. Is it so?");
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
