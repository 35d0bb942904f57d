//! Claims that an effect differs between subgroups.
//!
//! Rule: the test of interaction, never the comparison of two p values; two effects differ at the 5%
//! level where (d₁ − d₂) / √(se₁² + se₂²) is beyond ±1.96 (Altman and Bland 2003).

use crate::distractors::{MissingFigure, lacks};
use crate::numbers::{PValue, PrintedNumber, significant_or_not};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const FAMILY: Family = Family {
    name: "subgroup",
    held_out: false,
    wordings: &[
        trained(
            "interaction",
            1,
            by_p,
            "The effect of {treatment} on {event} was analysed in subgroups. P value among {one}: \
             {first}; among {two}: {second}; p value for interaction: {p}; and {distractor}. At the 5% \
             level, is a difference in effect between these subgroups [shown|not shown]?",
        ),
        trained(
            "claim",
            2,
            by_p,
            "A paper claims that {treatment} acts on {event} differently among {one} and {two}. \
             Its p values are these. In the first subgroup: {first}; in the second: {second}; for \
             interaction: {p}. {Distractor}. Is the claim [supported|not supported] at the 5% level?",
        ),
        trained(
            "errors",
            3,
            by_errors,
            "Effect of {treatment} on {what} (in {unit}), among {one}: {d1}, standard error: {e1}; \
             among {two}: {d2}, standard error: {e2}. Moreover, {distractor}. By the test of \
             interaction at the 5% level, is the difference between the two effects \
             [significant|not significant]?",
        ),
        held(
            "held-whether",
            1,
            by_p,
            "{Distractor} in a trial of {treatment} against {comparator}. For {event}, p value for \
             interaction: {p}; p value among {two}: {second}; among {one}: {first}. At the \
             5% level, is it [established|not established] that the effect depends on the subgroup?",
        ),
    ],
};

const PAIRS: [(&str, &str); 4] = [
    ("people in towns", "people in the country"),
    ("smokers", "non-smokers"),
    ("younger patients", "older patients"),
    ("patients with diabetes", "patients without it"),
];

fn by_p(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (one, two) = random.pick(&PAIRS);
    let [first, second, p] = [0; 3].map(|_| PValue::draw(random));
    let significant = p.below(0.05)?;
    let missing = MissingFigure::draw(random, 1);
    let (first, second, p) = (first.number(), second.number(), p.number());
    let rationale = match missing.any() {
        true => format!(
            "P values of {first} among {one} and {second} among {two} do not compare the two \
             effects, and the test of interaction is missing."
        ),
        false if significant => format!(
            "The p value for interaction, {p}, is below 0.05, so the effect differs between {one} \
             and {two} whatever their own p values are."
        ),
        false => format!(
            "The p value for interaction, {p}, is above 0.05, so a different effect in {one} and \
             {two} is not shown whatever their own p values are."
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(significant),
        rationale,
        slots: slots!(scene; one, two, first, second, p = missing.show(0, &p),
            distractor = missing.distractor(random)),
    })
}

fn by_errors(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (one, two) = random.pick(&PAIRS);
    let measure = scene.measure;
    let decimals = measure.decimals + 1;
    let [d1, d2] =
        [0; 2].map(|_| PrintedNumber::new(measure.width * random.between(-3.0, 3.0), decimals));
    let [e1, e2] =
        [0; 2].map(|_| PrintedNumber::new(measure.width * random.between(0.4, 1.2), decimals));
    let error = e1.value.hypot(e2.value);
    let difference = d1.value - d2.value;
    let z = difference / error;
    if (1.8..2.12).contains(&z.abs()) {
        return None;
    }
    let significant = z.abs() > 1.96;
    let missing = MissingFigure::draw(random, 4);
    let difference = PrintedNumber::new(difference, decimals);
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the test of interaction",
            &[
                ("first effect", &d1),
                ("first standard error", &e1),
                ("second effect", &d2),
                ("second standard error", &e2),
            ],
        ),
        false => format!(
            "The effects {d1} and {d2} differ by {difference} with a standard error of about \
             {error:.3}, {:.1} times it, which is {} at the 5% level.",
            z.abs(),
            significant_or_not(significant)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(significant),
        rationale,
        slots: slots!(scene; one, two, d1 = missing.show(0, &d1), e1 = missing.show(1, &e1),
            d2 = missing.show(2, &d2), e2 = missing.show(3, &e2), distractor = missing.distractor(random)),
    })
}
