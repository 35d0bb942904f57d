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

/// Values in int8 and a scale for every 32 of them.
pub fn quantize(x: &[f32]) -> (Vec<i8>, Vec<f32>) {
    let (mut values, mut scales) = (Vec::new(), Vec::new());
    for block in x.chunks(32) {
        let largest = block.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        // The product is rounded once, with the rounding to a whole number.
        let whole = |v: &f32| (f64::from(*v) * f64::from(inverse)).round_ties_even() as i8;
        values.extend(block.iter().map(whole));
        scales.push(largest / 127.0);
    }
    (values, scales)
}
