//! Masks: their share, their key, their agreement.

use verdict_testkit::numbers;

use crate::cpu::Isa;
use crate::cuda::Gpu;
use crate::cuda::testing::{Machine, Output, WORKS, everywhere, isas, rows, shapes, upload};
use crate::dropout::{DropoutKey, Masked, RowKey, dropout_scale, dropout_scale_add};

const KEY: DropoutKey = DropoutKey {
    seed: 42,
    example: 7,
    layer: 3,
    site: 1,
    position: 9,
};

trait Dropout: Machine {
    /// `x · mask` on rows of `n`, each with its key and probability; all keys name one layer and site.
    fn masked(&self, keys: &[(DropoutKey, f32)], n: usize, x: &[f32]) -> Vec<f32>;
}

impl Dropout for Isa {
    fn masked(&self, keys: &[(DropoutKey, f32)], n: usize, x: &[f32]) -> Vec<f32> {
        let mut y = x.to_vec();
        for ((key, p), row) in keys.iter().zip(y.chunks_exact_mut(n)) {
            dropout_scale(*self, *key, *p, row);
        }
        y
    }
}

impl Dropout for Gpu {
    fn masked(&self, keys: &[(DropoutKey, f32)], n: usize, x: &[f32]) -> Vec<f32> {
        let of_rows: Vec<RowKey> = keys.iter().map(|(k, p)| RowKey::new(*k, *p)).collect();
        let (of_rows, y) = (upload(self, &of_rows), Output::new(self, x.len()));
        let masked = Masked {
            out: y.view(),
            keys: of_rows.view(),
            layer: keys[0].0.layer,
            site: keys[0].0.site,
        };
        self.dropout_scale(rows(self, x).view(), keys.len(), n, masked)
            .expect(WORKS);
        y.wide(self)
    }
}

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
    let others = [
        DropoutKey { seed: 43, ..KEY },
        DropoutKey { example: 8, ..KEY },
        DropoutKey { layer: 4, ..KEY },
        DropoutKey { site: 2, ..KEY },
        DropoutKey {
            position: 10,
            ..KEY
        },
        DropoutKey {
            seed: 42 + (1 << 40),
            ..KEY
        },
        DropoutKey {
            example: 7 + (1 << 40),
            ..KEY
        },
    ];
    everywhere!(isas(), |on: &dyn Dropout| {
        for key in [KEY].into_iter().chain(others) {
            let got = on.masked(&[(key, 0.5)], n, &vec![1.0; n]);
            assert_eq!(got, mask(Isa::Portable, key, 0.5, n), "{}", on.name());
        }
    });
    for other in others {
        let m = mask(Isa::detect(), other, 0.5, n);
        let same = m.iter().zip(&base).filter(|(a, b)| a == b).count() as f64 / n as f64;
        assert!((same - 0.5).abs() < 0.05, "{other:?} agrees on {same}");
    }
}

#[test]
fn rows_of_any_width_have_the_same_masks_everywhere() {
    let all = [(1, 8), (17, 24), (5, 96), (65, 576), (3, 2048), (2, 2056)];
    everywhere!(isas(), |on: &dyn Dropout| {
        for &(rows, n) in shapes(&all, 3) {
            let key = |i: usize| DropoutKey {
                example: i as u64 / 3,
                position: i as u32,
                ..KEY
            };
            let keys: Vec<_> = (0..rows)
                .map(|i| (key(i), [0.05, 0.5, 0.0, 0.9][i % 4]))
                .collect();
            let x = on.seen(numbers(1, rows * n, 1.0));
            // Bitwise identical; on a GPU after one rounding.
            let want = on.seen(Isa::Portable.masked(&keys, n, &x));
            assert_eq!(on.masked(&keys, n, &x), want, "{} {rows}x{n}", on.name());
        }
    });
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
