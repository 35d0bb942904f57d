//! Learning rates compared with those of transformers, step by step (`goldens/schedule.py`).

use serde::Deserialize;
use verdict_train::schedule::{Rates, Schedule};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    schedule: Schedule,
    warmup: f64,
    warmup_steps: usize,
    shares: Vec<f64>,
}

#[test]
fn every_rate_equals_that_of_transformers() {
    let golden: Golden = serde_json::from_str(include_str!("goldens/schedule.json")).unwrap();
    assert_eq!(golden.cases.len(), 7);
    for case in golden.cases {
        let rates = Rates::new(case.schedule, case.warmup, case.shares.len());
        assert_eq!(rates.warmup_steps, case.warmup_steps);
        for (step, expected) in case.shares.into_iter().enumerate() {
            let found = rates.share(step);
            // The same formula in the same f64; cos and π·progress may differ in the last place.
            let tolerance = 4.0 * f64::EPSILON;
            assert!(
                (found - expected).abs() <= tolerance,
                "{rates:?}, step {step}: {found}, {expected}"
            );
        }
    }
}
