//! The labels once more, from nothing but the printed question: patterns on the text and other
//! arithmetic than the generator's (whole numbers of people instead of probabilities).

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;

use crate::Label;

/// The compiled pattern, kept: each is used for thousands of questions.
fn regex(pattern: &str) -> Regex {
    thread_local!(static KEPT: RefCell<HashMap<String, Regex>> = RefCell::default());
    KEPT.with_borrow_mut(|kept| match kept.get(pattern) {
        Some(regex) => regex.clone(),
        None => {
            let regex = Regex::new(pattern).unwrap();
            kept.insert(pattern.to_owned(), regex.clone());
            regex
        }
    })
}

/// Every number of a text, as printed and with its sign; a dash between two numbers is no sign.
pub(super) fn numbers(text: &str) -> Vec<f64> {
    regex(r"(?:^|[\s(])(-)?(\d+(?:\.\d+)?)|–(\d+(?:\.\d+)?)")
        .captures_iter(text)
        .map(|found| {
            let digits = found.get(2).or(found.get(3)).unwrap();
            let value: f64 = digits.as_str().parse().unwrap();
            if found.get(1).is_some() {
                -value
            } else {
                value
            }
        })
        .collect()
}

/// What the groups of `pattern` catch in `text`.
fn find<const N: usize>(text: &str, pattern: &str) -> Option<[f64; N]> {
    let found = regex(pattern).captures(text)?;
    Some(std::array::from_fn(|i| found[i + 1].parse().unwrap()))
}

fn need<const N: usize>(text: &str, pattern: &str) -> [f64; N] {
    find(text, pattern).unwrap_or_else(|| panic!("no {pattern} in {text:?}"))
}

fn yes(it_is: bool) -> Label {
    if it_is { Label::Yes } else { Label::No }
}

/// Both ends of a range agree or the answer is open.
fn both(first: bool, second: bool) -> Label {
    if first == second {
        yes(first)
    } else {
        Label::Uncertain
    }
}

/// The label of a question of a family.
pub(super) fn label(family: &str, question: &str) -> Label {
    match family {
        "ratio" => interval(question, 1.0),
        "difference" => interval(question, 0.0),
        "p-value" => p_value(question),
        "predictive-value" => predictive_value(question),
        "likelihood-ratio" => likelihood_ratio(question),
        "nnt" => nnt(question),
        "non-inferiority" => non_inferiority(question),
        "too-little" => too_little(question),
        other => panic!("no family {other}"),
    }
}

const RANGE: &str = r"(-?\d+(?:\.\d+)?)(?: to |–| and )(-?\d+(?:\.\d+)?)";

/// Both ends of a confidence interval, after a check that the estimate lies halfway between them
/// within what rounding allows: on the log scale for ratios, on the plain scale for differences.
fn ends(text: &str, ratio: bool) -> [f64; 2] {
    let pattern = format!(r"(?:CI|interval|limits)(?: of)? {RANGE}");
    let [low, high] = need(text, &pattern);
    assert!(low < high, "{text}");
    let printed = regex(&pattern).captures(text).unwrap();
    let decimals = printed[1]
        .split_once('.')
        .map_or(0, |(_, digits)| digits.len());
    let unit = 0.1_f64.powi(decimals as i32);
    let (middle, tolerance) = match ratio {
        true => {
            let middle = (low * high).sqrt();
            (
                middle,
                unit * (0.6 + 0.3 * middle * (1.0 / low + 1.0 / high)),
            )
        }
        false => ((low + high) / 2.0, 1.01 * unit),
    };
    let off = numbers(text)
        .into_iter()
        .filter(|&number| low < number && number < high)
        .map(|number| (number - middle).abs())
        .fold(f64::INFINITY, f64::min);
    assert!(
        off < tolerance,
        "no estimate halfway in the interval: {text}"
    );
    [low, high]
}

fn interval(text: &str, null: f64) -> Label {
    let [low, high] = ends(text, null == 1.0);
    assert!(low != null && high != null, "{text}");
    let down = regex(r"reduc|lower\b|less frequent").is_match(last(text));
    let up = regex(r"increas|higher\b|more frequent").is_match(last(text));
    assert!(down != up, "{text}");
    let shown = if down { high < null } else { low > null };
    let against = if down { low > null } else { high < null };
    if let Some(p) = p_of(text) {
        let [level] = need(text, r"(\d+)% (?:CI|confidence)");
        assert_eq!(
            p < 1.0 - level / 100.0 - 1e-9,
            low > null || high < null,
            "{text}"
        );
    }
    if !text.contains("% level") {
        // Significance at no stated level means the usual one.
        assert!(
            regex(r"95% (?:CI|confidence|limits)").is_match(text),
            "{text}"
        );
    }
    match text.contains("significant") {
        true => yes(shown),
        false if shown || against => yes(shown),
        false => Label::Uncertain,
    }
}

/// The claim asked about: the last sentence, or for a bare "Is the claim right?" the claim itself.
fn last(text: &str) -> &str {
    let sentences: Vec<&str> = text.split(". ").collect();
    match sentences.last() {
        Some(&"Is the claim right?") => sentences[0],
        Some(sentence) => sentence,
        None => text,
    }
}

/// The printed p value; just under the bound for "p < 0.001".
fn p_of(text: &str) -> Option<f64> {
    match find(text, r"p < (\d\.\d+)") {
        Some([bound]) => Some(bound - 1e-12),
        None => find(text, r"p = (\d\.\d+)").map(|[p]| p),
    }
}

fn p_value(text: &str) -> Label {
    let p = p_of(text).unwrap();
    let [alpha] = need(text, r"(?:alpha = |alpha of |level of )(\d\.\d+)");
    let alone = p < alpha;
    if let Some([tests]) = find(text, r"one of (\d+) tests") {
        return yes(p * tests < alpha);
    }
    if text.contains("several tests") {
        return if alone { Label::Uncertain } else { Label::No };
    }
    if text.contains("does not say") {
        return if alone { Label::Uncertain } else { Label::No };
    }
    yes(alone && !text.contains("more cases with"))
}

/// Of a million people tested, the share in per cent of those with the result who are ill.
fn natural(sensitivity: f64, specificity: f64, prevalence: f64, positive: bool) -> f64 {
    let ill = 10_000.0 * prevalence;
    let well = 1_000_000.0 - ill;
    let (ill, well) = match positive {
        true => (ill * sensitivity / 100.0, well - well * specificity / 100.0),
        false => (ill - ill * sensitivity / 100.0, well * specificity / 100.0),
    };
    100.0 * ill / (ill + well)
}

fn predictive_value(text: &str) -> Label {
    let [sensitivity] = need(text, r"(?:sensitivity|sensitivity of|finds) (\d+)%");
    let [specificity] = need(text, r"(?:specificity|specificity of|negative in) (\d+)%");
    let [threshold] = need(text, r"(?:above|below|under|greater than|more than) (\d+)%");
    let below = text.contains("below") || text.contains("under");
    let positive = !below;
    let holds = |prevalence: f64| {
        (natural(sensitivity, specificity, prevalence, positive) < threshold) == below
    };
    if let Some([first, last]) = find(text, r"between (\d+)% and (\d+)%") {
        return both(holds(first), holds(last));
    }
    let [pretest] = need(
        text,
        r"(?:probability of|prevalence of|beforehand was) (\d+)%",
    );
    yes(holds(pretest))
}

fn likelihood_ratio(text: &str) -> Label {
    let [ratio] = need(text, r"likelihood ratios? (?:of )?(\d+\.\d+)");
    let [threshold] = need(text, r"(?:above|below|under|above a probability of) (\d+)%");
    let below = text.contains("below") || text.contains("under");
    // Compares odds: cases and non-cases among a hundred people, the cases counted `ratio` times.
    let holds = |pretest: f64, ratio: f64| {
        (ratio * pretest * (100.0 - threshold) < threshold * (100.0 - pretest)) == below
    };
    if let Some([first, last]) = find(text, r"between (\d+)% and (\d+)%") {
        return both(holds(first, ratio), holds(last, ratio));
    }
    if let Some([pretest]) = find(text, r"reached from (\d+)%") {
        return yes(holds(pretest, ratio));
    }
    let [pretest] = need(text, r"probability (?:of [a-z ]+ )?(?:of|is|was) (\d+)%");
    if let Some([low, high]) = find(text, &format!("CI {RANGE}")) {
        assert!(low < ratio && ratio < high, "{text}");
        return both(holds(pretest, low), holds(pretest, high));
    }
    match find(text, r"ratios of \d+\.\d+ and (\d+\.\d+)") {
        Some([second]) => yes(holds(pretest, ratio * second)),
        None => yes(holds(pretest, ratio)),
    }
}

fn nnt(text: &str) -> Label {
    let [threshold] = need(text, r"(?:below|fewer than|under) (\d+)");
    // Of `threshold` people treated, more than one whole case must be spared.
    let holds = |points: f64| threshold * points > 100.0;
    if let Some([low, high]) = find(text, &format!(r"(?:CI|interval|limits)(?: of)? {RANGE}")) {
        return both(holds(low), holds(high));
    }
    if let Some([size, treated]) = find(text, r"Of (\d+) patients given [^,]*, (\d+) had") {
        let [same, control] = need(text, r"of (\d+) given [^,]*, (\d+) had it");
        assert_eq!(size, same);
        return yes(holds(100.0 * (control - treated) / size));
    }
    let [first] = need(text, r"(\d+(?:\.\d+)?)%");
    let [second] = need(text, r"%.*?(\d+(?:\.\d+)?)%");
    yes(holds((first - second).abs()))
}

fn non_inferiority(text: &str) -> Label {
    let hazard = text.contains("hazard");
    let [low, high] = ends(text, hazard);
    let [margin] = need(
        text,
        r"(?:margin of|margin was|under|[Aa]t most|up to) (\d+(?:\.\d+)?)",
    );
    let (good, bad) = match regex("[Rr]esponse rate").is_match(text) {
        true => (low > -margin, high < -margin),
        false => (high < margin, low > margin),
    };
    let shown = regex("shown|establish|criterion").is_match(text);
    if shown || good || bad {
        yes(good)
    } else {
        Label::Uncertain
    }
}

fn too_little(text: &str) -> Label {
    if let Some([estimate]) = find(text, r"ratio of (\d\.\d+) (?:is printed|for)") {
        if let Some([limit]) = find(text, r"confidence interval, (\d\.\d+)") {
            return match text.contains("upper limit") {
                true => yes(limit < 1.0),
                false if limit > 1.0 || estimate > 1.0 => Label::No,
                false => Label::Uncertain,
            };
        }
        return match p_of(text) {
            _ if estimate > 1.0 => Label::No,
            Some(p) => yes(p < 0.05),
            None => Label::Uncertain,
        };
    }
    if let Some([sensitivity]) = find(text, r"sensitivity of (\d+)%") {
        let [prevalence] = need(text, r"prevalence of (\d+)%");
        return match find(text, r"specificity of (\d+)%") {
            Some([specificity]) => yes(natural(sensitivity, specificity, prevalence, true) > 50.0),
            None => Label::Uncertain,
        };
    }
    if let Some([ratio]) = find(text, r"with .* is (\d\.\d+), and") {
        let [threshold] = need(text, r"greater than (\d+) percentage");
        return match find(text, r"without treatment is (\d+)%") {
            Some([risk]) => yes(risk - risk * ratio > threshold),
            None => Label::Uncertain,
        };
    }
    if let Some([treated]) = find(text, r"fell by (\d+(?:\.\d+)?)") {
        let [control] = need(text, r"and by (\d+(?:\.\d+)?)");
        return match find(text, r"standard error of the difference is (\d+(?:\.\d+)?)") {
            Some([error]) => yes((treated - control).powi(2) > (1.96 * error).powi(2)),
            None => Label::Uncertain,
        };
    }
    let counts = numbers(text);
    let (treated, control) = (counts[0], counts[1]);
    if let Some([n, m]) = find(text, r"groups had (\d+) and (\d+)") {
        return yes(treated * m < control * n);
    }
    match text.contains("same size") {
        true => yes(treated < control),
        false => Label::Uncertain,
    }
}
