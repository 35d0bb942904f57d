//! The plain integer product, weight by weight.

/// `y[j] = Σ_b s_b Σ_{p in b} a_p w_{jp}`: `values` `[k]` and a scale for every 32 of them, weights `[n, k]`. The
/// scales of the weights' rows are not applied.
pub fn product(values: &[i8], scales: &[f32], weights: &[i8]) -> Vec<f32> {
    let row = |w: &[i8]| {
        let mut y = 0.0_f32;
        for ((a, w), scale) in values.chunks(32).zip(w.chunks(32)).zip(scales) {
            let dot: i32 = a
                .iter()
                .zip(w)
                .map(|(a, w)| i32::from(*a) * i32::from(*w))
                .sum();
            y = (dot as f32).mul_add(*scale, y);
        }
        y
    };
    weights.chunks_exact(values.len()).map(row).collect()
}

/// A quantized row: values in int8, and a scale for every 32 of them.
pub type QuantizedRow = (Vec<i8>, Vec<f32>);

/// A row of activations as two quantized rows: the values, and what they miss in units 254 times finer.
pub fn quantize(x: &[f32]) -> [QuantizedRow; 2] {
    let mut rows = [QuantizedRow::default(), QuantizedRow::default()];
    for block in x.chunks(32) {
        let largest = block.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let (scale, inverse) = match largest > 0.0 {
            true => (largest / 127.0, 127.0 / largest),
            false => (0.0, 0.0),
        };
        // Each product is rounded once, with the rounding to a whole number.
        let whole =
            |v: f32, inverse: f32| (f64::from(v) * f64::from(inverse)).round_ties_even() as i8;
        for &v in block {
            let value = whole(v, inverse);
            let missed = f32::from(value).mul_add(-scale, v);
            rows[0].0.push(value);
            rows[1].0.push(whole(missed, inverse * 254.0));
        }
        rows[0].1.push(scale);
        rows[1].1.push(scale / 254.0);
    }
    rows
}
