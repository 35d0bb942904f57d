//! Metrics compared with scipy, statsmodels, scikit-learn and numpy, by `dev/reference/eval_goldens.py`.

use serde::Deserialize;
use verdict_data::Label;
use verdict_eval::{Confusion, Lengths, Levels, Proportion};

#[derive(Deserialize)]
struct Goldens {
    wilson: Vec<Wilson>,
    classified: Vec<Classified>,
    lengths: Vec<Lengthy>,
    labels: Labels,
}

#[derive(Deserialize)]
struct Wilson {
    count: usize,
    total: usize,
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
struct Classified {
    truth: Vec<Label>,
    answers: Vec<String>,
    accuracy: f64,
    balanced_accuracy: f64,
    macro_f1: f64,
    confusion: [[usize; 4]; 3],
}

#[derive(Deserialize)]
struct Lengthy {
    values: Vec<usize>,
    mean: f64,
    median: f64,
    p95: f64,
    max: usize,
}

#[derive(Deserialize)]
struct Labels {
    logits: Vec<f32>,
    tokens: [usize; 3],
    softmax_of_three: [f32; 3],
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("goldens/metrics.json")).unwrap()
}

/// Equal up to the rounding of a few operations in double precision.
fn assert_close(got: f64, want: f64, what: &str) {
    assert!(
        (got - want).abs() <= 1e-12 * want.abs().max(1.0),
        "{what}: {got} against {want}"
    );
}

#[test]
fn wilsons_interval_is_statsmodels() {
    for golden in goldens().wilson {
        let share = Proportion::new(golden.count, golden.total);
        let what = format!("{} of {}", golden.count, golden.total);
        assert_close(share.low, golden.low, &what);
        assert_close(share.high, golden.high, &what);
        assert_close(
            share.value,
            golden.count as f64 / golden.total as f64,
            &what,
        );
    }
    let nothing = Proportion::new(0, 0);
    assert_eq!((nothing.value, nothing.low, nothing.high), (0.0, 0.0, 1.0));
}

#[test]
fn scores_are_scikit_learns() {
    for (place, golden) in goldens().classified.into_iter().enumerate() {
        let answers = golden.answers.iter().map(|answer| Label::parse(answer));
        let confusion = Confusion::of(golden.truth.iter().copied().zip(answers));
        let what = format!("case {place}");
        assert_eq!(confusion, Confusion(golden.confusion), "{what}");
        assert_close(confusion.accuracy().value, golden.accuracy, &what);
        assert_close(
            confusion.balanced_accuracy(),
            golden.balanced_accuracy,
            &what,
        );
        assert_close(confusion.macro_f1(), golden.macro_f1, &what);
    }
}

#[test]
fn lengths_are_numpys() {
    for golden in goldens().lengths {
        let lengths = Lengths::of(&golden.values);
        let what = format!("{:?}", golden.values);
        assert_close(lengths.mean, golden.mean, &what);
        assert_close(lengths.median, golden.median, &what);
        assert_close(lengths.p95, golden.p95, &what);
        assert_eq!(lengths.max, golden.max, "{what}");
    }
    assert_eq!(Lengths::of(&[]), Lengths::default());
}

#[test]
fn label_probabilities_are_scipys() {
    let golden = goldens().labels;
    let picked = golden.tokens.map(|token| golden.logits[token]);
    let found = verdict_answer::labels::softmax(picked.map(f64::from));
    for (got, want) in found.into_iter().zip(golden.softmax_of_three) {
        // The golden numbers are rounded to single precision.
        assert!((got - f64::from(want)).abs() < 6e-8, "{got} against {want}");
    }
}

#[test]
fn baselines_have_their_expected_scores() {
    let even = Levels::of([11, 11, 11]);
    assert_eq!(even.majority_label, Label::Yes);
    for third in [
        even.chance_accuracy,
        even.chance_macro_f1,
        even.majority_accuracy,
        even.majority_balanced_accuracy,
    ] {
        assert_close(third, 1.0 / 3.0, "even");
    }
    // Precision 1/3, recall 1 for one label, nothing for the others.
    assert_close(even.majority_macro_f1, 0.5 / 3.0, "even");
    let uneven = Levels::of([1, 6, 3]);
    assert_eq!(uneven.majority_label, Label::No);
    assert_close(uneven.majority_accuracy, 0.6, "uneven");
    assert_close(uneven.majority_macro_f1, 0.75 / 3.0, "uneven");
    // Without Uncertain among the truths, macro-F1 is over two labels.
    let two = Levels::of([5, 5, 0]);
    assert_close(two.majority_macro_f1, 1.0 / 3.0, "two labels");
    assert_close(two.chance_macro_f1, 0.4, "two labels");
    let f1 = |share: f64| 2.0 * share / 3.0 / (share + 1.0 / 3.0);
    assert_close(
        uneven.chance_macro_f1,
        (f1(0.1) + f1(0.6) + f1(0.3)) / 3.0,
        "uneven",
    );
}

#[test]
#[should_panic(expected = "3 out of 2")]
fn a_count_above_its_total_panics() {
    let _ = Proportion::new(3, 2);
}
