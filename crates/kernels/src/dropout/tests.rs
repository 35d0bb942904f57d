//! Masks: their share, their key, their agreement.

use crate::cpu::Isa;
use crate::dropout::{DropoutKey, dropout_scale, dropout_scale_add};

const KEY: DropoutKey = DropoutKey {
    seed: 42,
    example: 7,
    layer: 3,
    site: 1,
    position: 9,
};

fn mask(isa: Isa, key: DropoutKey, p: f32, n: usize) -> Vec<f32> {
    let mut out = vec![1.0; n];
    dropout_scale(isa, key, p, &mut out);
    out
}

#[test]
fn the_share_dropped_is_p_and_the_mean_stays() {
    let n = 1 << 20;
    for p in [0.05_f32, 0.3] {
        let m = mask(Isa::detect(), KEY, p, n);
        let dropped = m.iter().filter(|v| **v == 0.0).count() as f64 / n as f64;
        let deviation = (f64::from(p) * (1.0 - f64::from(p)) / n as f64).sqrt();
        assert!(
            (dropped - f64::from(p)).abs() < 5.0 * deviation + 1.0 / 65536.0,
            "{dropped} of {p}"
        );
        let mean = m.iter().map(|v| f64::from(*v)).sum::<f64>() / n as f64;
        assert!(
            (mean - 1.0).abs() < 5.0 * deviation / (1.0 - f64::from(p)),
            "mean {mean}"
        );
    }
}

#[test]
fn every_part_of_the_key_counts_and_the_processor_does_not() {
    let n = 4096;
    let base = mask(Isa::Portable, KEY, 0.5, n);
    for isa in Isa::ALL.into_iter().filter(|i| *i <= Isa::hardware()) {
        assert_eq!(mask(isa, KEY, 0.5, n), base);
    }
    for other in [
        DropoutKey { seed: 43, ..KEY },
        DropoutKey { example: 8, ..KEY },
        DropoutKey { layer: 4, ..KEY },
        DropoutKey { site: 2, ..KEY },
        DropoutKey {
            position: 10,
            ..KEY
        },
    ] {
        let m = mask(Isa::detect(), other, 0.5, n);
        let same = m.iter().zip(&base).filter(|(a, b)| a == b).count() as f64 / n as f64;
        assert!((same - 0.5).abs() < 0.05, "{other:?} agrees on {same}");
    }
}

#[test]
fn neighbours_are_independent() {
    let n = 1 << 18;
    let m: Vec<f64> = mask(Isa::detect(), KEY, 0.5, n)
        .iter()
        .map(|v| f64::from(*v) - 1.0)
        .collect();
    for lag in [1, 2, 15, 16, 17, 32] {
        let c = m.iter().zip(&m[lag..]).map(|(a, b)| a * b).sum::<f64>() / (n - lag) as f64;
        assert!(c.abs() < 5.0 / (n as f64).sqrt(), "lag {lag}: {c}");
    }
}

#[test]
fn backward_has_forwards_mask() {
    let n = 100;
    let m = mask(Isa::detect(), KEY, 0.2, n);
    let mut y = vec![1.0; n];
    dropout_scale_add(Isa::detect(), KEY, 0.2, &vec![1.0; n], &mut y);
    for (y, m) in y.iter().zip(m) {
        assert_eq!(*y, m + 1.0);
    }
}
