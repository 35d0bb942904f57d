//! Screening figures compared with scikit-learn and scipy, by `dev/reference/screening_goldens.py`.

use serde::Deserialize;
use verdict_eval::stats::bootstrap::Resampling;
use verdict_eval::stats::screening::{ScreenedRecord, ranking, recall_threshold};

#[derive(Deserialize)]
struct Goldens {
    screened: Vec<Screened>,
}

#[derive(Deserialize)]
struct Screened {
    included: Vec<bool>,
    scores: Vec<f64>,
    auroc: f64,
    average_precision: f64,
    work_saved: f64,
    work_saved_threshold: f64,
    certified: Vec<Certified>,
}

#[derive(Deserialize)]
struct Certified {
    target: f64,
    delta: f64,
    threshold: Option<f64>,
}

#[test]
fn ranking_and_thresholds_are_those_of_scikit_learn_and_scipy() {
    let goldens: Goldens =
        serde_json::from_str(include_str!("goldens/screening.json")).expect("golden figures");
    assert_eq!(goldens.screened.len(), 4);
    let few = Resampling {
        replicates: 200,
        seed: 1,
    };
    let mut certified = 0;
    for golden in goldens.screened {
        let pairs = golden.scores.iter().zip(&golden.included);
        let records: Vec<ScreenedRecord> = pairs
            .map(|(score, included)| ScreenedRecord {
                score: *score,
                included: *included,
            })
            .collect();
        let found = ranking(&records, few).expect("both classes");
        for (found, golden) in [
            (found.auroc, golden.auroc),
            (found.average_precision, golden.average_precision),
            (found.work_saved, golden.work_saved),
        ] {
            assert!((found.value - golden).abs() < 1e-12, "{found:?}, {golden}");
            assert!(found.low < golden && golden < found.high, "{found:?}");
        }
        assert_eq!(found.threshold, golden.work_saved_threshold);
        for golden in golden.certified {
            let found = recall_threshold(&records, golden.target, golden.delta);
            assert_eq!(found.threshold, golden.threshold, "{}", golden.target);
            certified += usize::from(found.threshold.is_some());
        }
    }
    assert!(
        (4..12).contains(&certified),
        "some, and not all: {certified}"
    );
}
