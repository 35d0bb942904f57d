//! Heterogeneity of a meta-analysis; prediction intervals are held out from training as a whole.
//!
//! Rules: I² = (Q − df) / Q, not below 0, with one degree of freedom fewer than studies (Higgins and
//! Thompson 2002). The prediction interval, d ± t·√(τ² + se²), says where the effect of a new study is to
//! be expected and contains the confidence interval (Higgins, Thompson and Spiegelhalter 2009).

use crate::distractors::{MissingFigure, any_distractor, distractor, lacks, show};
use crate::effect::{Effect, RATIOS};
use crate::numbers::{PValue, PrintedNumber, Side, USUAL, above_or_below, significant_or_not};
use crate::random::Random;
use crate::scenes::Scene;
use crate::wording::{Case, Family, held, slots, trained};

pub(crate) const HETEROGENEITY: Family = Family {
    name: "heterogeneity",
    held_out: false,
    wordings: &[
        trained(
            "interval",
            1,
            interval,
            "A meta-analysis of {treatment} for {event} gives an I-squared of {estimate}% (95% CI \
             {low}% to {high}%); {distractor}. Is the true I-squared [above|below] {threshold}%?",
        ),
        trained(
            "test",
            1,
            test,
            "A meta-analysis of {treatment} for {event} reports: p value of the pooled effect, \
             {effect}; p value of Cochran's test of heterogeneity, {p}; I-squared, {estimate}%. \
             {Distractor}. At the 10% level, is heterogeneity [significant|not significant]?",
        ),
        trained(
            "from-q",
            2,
            from_q,
            "Studies of {treatment} for {event} were pooled. Number of studies: {studies}; \
             Cochran's Q: {q}; and {distractor}. Is I-squared [above|below] {threshold}%?",
        ),
        held(
            "held-share",
            2,
            from_q,
            "{Distractor}. In a meta-analysis on {event} in {population}, Cochran's Q: {q}; number of \
             studies: {studies}. Is the share of variation beyond chance, by I-squared, \
             [over|under] {threshold}%?",
        ),
    ],
};

pub(crate) const PREDICTION: Family = Family {
    name: "prediction-interval",
    held_out: true,
    wordings: &[
        trained(
            "new-study",
            1,
            new_study,
            "Pooled over studies of {treatment} for {event}, the {measure} was {estimate} (95% CI \
             {narrow}; 95% prediction interval {wide}); {distractor}. Going by the prediction interval, \
             will the true {measure} of a new study be [below|above] 1?",
        ),
        trained(
            "whole",
            2,
            whole,
            "For {event} with {treatment}, the pooled {measure} was {estimate}; 95% CI: {narrow}; \
             95% prediction interval: {wide}; and {distractor}. Is a benefit in a new study [shown|not \
             shown], in that the whole prediction interval lies below 1?",
        ),
        trained(
            "computed",
            3,
            computed,
            "A random-effects meta-analysis of {treatment} finds a mean difference in {what} of \
             {difference} {unit}, with standard error {error}, and a standard deviation between \
             studies (tau) of {tau}; {distractor}. With t = {t} for the 95% prediction interval, will \
             the true difference of a new study be [below|above] 0?",
        ),
    ],
};

fn interval(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let estimate = random.whole(12, 88);
    let low = estimate.saturating_sub(random.whole(6, 30));
    let high = (estimate + random.whole(5, 30)).min(97);
    let threshold = random.pick(&[20, 25, 30, 40, 50, 60, 75]);
    let side = Side::of(f64::from(low), f64::from(high), f64::from(threshold), 0.0)?;
    let end = match side {
        Side::Above => "lies wholly above",
        Side::Below => "lies wholly below",
        Side::Across => "includes",
    };
    let rationale = format!(
        "The 95% confidence interval of I-squared from {low}% to {high}% {end} {threshold}%."
    );
    Some(Case {
        truth: side.above(),
        rationale,
        slots: slots!(scene; estimate, low, high, threshold, distractor = any_distractor(random)),
    })
}

fn test(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let [effect, p] = [0; 2].map(|_| PValue::draw(random));
    let estimate = random.whole(10, 80);
    let significant = p.below(0.1)?;
    let missing = MissingFigure::draw(random, 1);
    let rationale = match missing.any() {
        true => format!(
            "An I-squared of {estimate}% is no test, and the p value of Cochran's test, which would \
             be, is missing."
        ),
        false => format!(
            "The p value of Cochran's test, {}, is {} 0.10, so heterogeneity is {} at the 10% level.",
            p.number(),
            above_or_below(!significant),
            significant_or_not(significant)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(significant),
        rationale,
        slots: slots!(scene; effect = effect.number(), estimate, p = missing.show(0, p.number()),
            distractor = missing.distractor(random)),
    })
}

fn from_q(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let studies = random.whole(4, 30);
    let freedom = f64::from(studies - 1);
    let q = PrintedNumber::new(freedom * random.between(0.7, 5.0), 1);
    let threshold = random.pick(&[25, 30, 40, 50, 60, 75]);
    let value = (100.0 * (q.value - freedom) / q.value).max(0.0);
    if (value - f64::from(threshold)).abs() < 1.5 {
        return None;
    }
    let missing = MissingFigure::draw(random, 2);
    // Two studies, the fewest there can be, have to be above the threshold.
    if missing.is(0) && 100.0 * (q.value - 1.0) / q.value < f64::from(threshold) + 1.0 {
        return None;
    }
    let above = value > f64::from(threshold);
    let rationale = match missing.any() {
        true => lacks(
            missing,
            "I-squared",
            &[("number of studies", &studies), ("value of Q", &q)],
        ),
        false => format!(
            "With Q of {q} on {freedom} degrees of freedom I-squared is about {value:.0}%, {} \
             {threshold}%.",
            above_or_below(above)
        ),
    };
    Some(Case {
        truth: (!missing.any()).then_some(above),
        rationale,
        slots: slots!(scene; threshold, studies = missing.show(0, studies), q = missing.show(1, &q),
            distractor = missing.distractor(random)),
    })
}

/// A pooled ratio, its confidence interval, and a prediction interval around it.
fn pooled(random: &mut Random) -> Option<(Effect, PrintedNumber, PrintedNumber, Side)> {
    let effect = Effect::ratio(random, USUAL)?;
    let wider = random.between(1.15, 2.2);
    let [low, high] = [&effect.low, &effect.high].map(|end| {
        let log = effect.estimate.value.ln();
        PrintedNumber::new((log + wider * (end.value.ln() - log)).exp(), 2)
    });
    let side = Side::of(low.value, high.value, 1.0, 0.0)?;
    (low.value < effect.low.value && high.value > effect.high.value)
        .then_some((effect, low, high, side))
}

fn new_study(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (measure, _, _) = random.pick(&RATIOS);
    let (effect, low, high, side) = pooled(random)?;
    let end = match side {
        Side::Below => "lies wholly below 1",
        Side::Above => "lies wholly above 1",
        Side::Across => "includes 1, so a new study may go either way",
    };
    let rationale = format!("The 95% prediction interval from {low} to {high} {end}.");
    Some(Case {
        truth: side.below(),
        rationale,
        slots: slots!(scene; measure, estimate = effect.estimate, narrow = effect.ci(),
            wide = format!("{low} to {high}"), distractor = any_distractor(random)),
    })
}

fn whole(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let (measure, _, _) = random.pick(&RATIOS);
    let (effect, low, high, side) = pooled(random)?;
    let missing = MissingFigure::draw(random, 1);
    let has_narrow = missing.any() || random.chance(0.5);
    // The prediction interval contains the confidence interval.
    let truth = match (missing.any(), effect.side) {
        (false, _) => Some(side == Side::Below),
        (true, Side::Below) => None,
        (true, _) => Some(false),
    };
    let rationale = match (missing.any(), truth) {
        (false, _) => format!(
            "The 95% prediction interval from {low} to {high} {} wholly below 1.",
            if side == Side::Below {
                "lies"
            } else {
                "does not lie"
            }
        ),
        (true, None) => format!(
            "The confidence interval {}, but the wider prediction interval is missing and may reach \
             1.",
            effect.place()
        ),
        (true, _) => format!(
            "The confidence interval {}, so the wider prediction interval cannot lie wholly below 1.",
            effect.place()
        ),
    };
    let distractor_missing = has_narrow && !missing.any();
    Some(Case {
        truth,
        rationale,
        slots: slots!(scene; measure, estimate = effect.estimate,
            narrow = show(has_narrow, effect.ci()), wide = missing.show(0, format!("{low} to {high}")),
            distractor = distractor(random, distractor_missing)),
    })
}

fn computed(random: &mut Random) -> Option<Case> {
    let scene = Scene::draw(random);
    let measure = scene.measure;
    let decimals = measure.decimals + 1;
    let [error, tau] = [0.2, 0.5]
        .map(|most| PrintedNumber::new(measure.width * random.between(0.1, most), decimals));
    let t = PrintedNumber::new(random.pick(&[2.06, 2.1, 2.13, 2.18, 2.26, 2.36]), 2);
    let difference = PrintedNumber::new(measure.width * random.between(-2.2, 2.2), decimals);
    let half = t.value * error.value.hypot(tau.value);
    let [low, high] = [-half, half].map(|step| difference.value + step);
    let side = Side::of(low, high, 0.0, 0.06 * half)?;
    let [low, high] = [low, high].map(|end| PrintedNumber::new(end, decimals));
    let end = match side {
        Side::Below => "wholly below 0",
        Side::Above => "wholly above 0",
        Side::Across => "on both sides of 0",
    };
    let rationale = format!(
        "The prediction interval is {difference} plus or minus {t} times the root of {tau} squared \
         plus {error} squared, about {low} to {high}, {end}."
    );
    Some(Case {
        truth: side.below(),
        rationale,
        slots: slots!(scene; difference, error, tau, t, distractor = any_distractor(random)),
    })
}
