//! Association and cause: crude and adjusted estimates, observational studies beside trials.
//!
//! Rules: a cause is read from the randomised comparison, or from the adjusted estimate where the
//! question says so; rates are compared after direct standardisation to one distribution of the
//! confounder.

use crate::distractors::{MissingFigure, any_distractor, distractor, lacks, show};
use crate::effect::Effect;
use crate::numbers::{PrintedNumber, Side, USUAL, lower_or_higher};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const FAMILY: Family = Family {
    name: "confounding",
    held_out: false,
    wordings: &[
        trained(
            "adjusted",
            1,
            adjusted,
            "In an observational study, {treatment} and {event} had a crude risk ratio of {first} \
             (95% CI {first_ci}) and, adjusted for age and smoking, one of {second} (95% CI \
             {second_ci}); {distractor}. Going by the adjusted estimate, is the risk [lower|higher] with \
             {treatment}?",
        ),
        trained(
            "cause",
            2,
            cause,
            "Users of {treatment} in a cohort study had a risk ratio of {first} for {event} (95% CI: \
             {first_ci}). A randomised trial found {second} (95% CI: {second_ci}), and {distractor}. If \
             only a randomised comparison can tell cause from association, does {treatment} \
             [reduce|increase] the risk of {event}?",
        ),
        trained(
            "standardised",
            3,
            standardised,
            "Risk of {event} among smokers, on {treatment}: {a1}; on {comparator}: {b1}. Among \
             non-smokers, on {treatment}: {a2}; on {comparator}: {b2}. In the standard population, \
             {share}% smoke, and {distractor}. Directly standardised to it, is the risk [lower|higher] \
             on {treatment}?",
        ),
        held(
            "held-trial",
            2,
            cause,
            "{Distractor}. On {event} with {treatment} there are two results: cohort study, risk ratio \
             {first} (95% CI: {first_ci}); randomised trial, risk ratio {second} (95% CI: \
             {second_ci}). Taking causes from the randomised result alone, is the effect a \
             [reduction|rise] in risk?",
        ),
    ],
};

fn adjusted(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let [crude, adjusted] = [Effect::ratio(random, USUAL)?, Effect::ratio(random, USUAL)?];
    let end = match adjusted.side {
        Side::Below => format!("the risk is lower with {}", scene.treatment),
        Side::Above => format!("the risk is higher with {}", scene.treatment),
        Side::Across => "the risk may be either, whatever the crude ratio says".to_owned(),
    };
    let rationale = format!(
        "The adjusted 95% confidence interval {}, so {end}.",
        adjusted.place()
    );
    Some(Case {
        truth: adjusted.side.below(),
        rationale,
        slots: slots!(scene; first = crude.estimate, first_ci = crude.ci(),
            second = adjusted.estimate, second_ci = adjusted.ci(), distractor = any_distractor(random)),
    })
}

fn cause(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let [cohort, trial] = [Effect::ratio(random, USUAL)?, Effect::ratio(random, USUAL)?];
    let missing = MissingFigure::draw(random, 1);
    let has_cohort = missing.any() || random.chance(0.5);
    let end = match trial.side {
        Side::Below => format!("{} reduces the risk", scene.treatment),
        Side::Above => format!("{} increases the risk", scene.treatment),
        Side::Across => "the trial leaves the direction open".to_owned(),
    };
    let rationale = match missing.any() {
        true => format!(
            "The randomised risk ratio of {} has no interval, and that of the cohort study, {}, may \
             be confounded.",
            trial.estimate,
            cohort.ci()
        ),
        false => format!(
            "The randomised 95% confidence interval {}, so {end}, whatever the cohort study found.",
            trial.place()
        ),
    };
    let distractor_missing = has_cohort && !missing.any();
    Some(Case {
        truth: if missing.any() {
            None
        } else {
            trial.side.below()
        },
        rationale,
        slots: slots!(scene; first = cohort.estimate, first_ci = show(has_cohort, cohort.ci()),
            second = trial.estimate, second_ci = missing.show(0, trial.ci()),
            distractor = distractor(random, distractor_missing)),
    })
}

fn standardised(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let share = random.whole(10, 60);
    let b1 = random.whole(8, 40);
    let b2 = random.whole(4, 30);
    let [a1, a2] =
        [b1, b2].map(|risk| PrintedNumber::new(f64::from(risk) * random.between(0.5, 1.5), 0));
    let weight = f64::from(share) / 100.0;
    let of = |smokers: f64, others: f64| weight * smokers + (1.0 - weight) * others;
    let treated = of(a1.value, a2.value);
    let control = of(f64::from(b1), f64::from(b2));
    if (treated - control).abs() < 0.3 {
        return None;
    }
    let missing = MissingFigure::draw(random, 4);
    // A missing risk between 0 and 100% has to leave the answer open.
    let rest = match () {
        () if missing.is(0) => (control - of(0.0, a2.value)) / weight,
        () if missing.is(1) => (treated - of(0.0, f64::from(b2))) / weight,
        () if missing.is(2) => (control - of(a1.value, 0.0)) / (1.0 - weight),
        () if missing.is(3) => (treated - of(f64::from(b1), 0.0)) / (1.0 - weight),
        () => 50.0,
    };
    if !(1.0..99.0).contains(&rest) {
        return None;
    }
    let lower = treated < control;
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "the standardised difference",
            &[
                ("first risk with treatment", &format!("{a1}%")),
                ("first risk without it", &format!("{b1}%")),
                ("second risk with treatment", &format!("{a2}%")),
                ("second risk without it", &format!("{b2}%")),
            ],
        ),
        false => format!(
            "With {share}% smokers the standardised risks are about {treated:.1}% on {} and \
             {control:.1}% on {}, {} on the former.",
            scene.treatment,
            scene.comparator,
            lower_or_higher(lower)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(lower),
        rationale,
        slots: slots!(scene; share, a1 = missing.show(0, format!("{a1}%")),
            b1 = missing.show(1, format!("{b1}%")), a2 = missing.show(2, format!("{a2}%")),
            b2 = missing.show(3, format!("{b2}%")), distractor = missing.distractor(random)),
    })
}
