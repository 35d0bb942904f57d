//! Helpers for tests: seeded numbers, tolerances scaled by the rounding unit, numerical derivatives, a browser.

pub mod browser;

/// Rounding unit of f32: half the distance from 1 to the next number.
pub const F32_UNIT: f64 = 1.0 / (1 << 24) as f64;
/// Rounding unit of bf16.
pub const BF16_UNIT: f64 = 1.0 / (1 << 8) as f64;

/// `len` numbers, uniform in ±`size`, the same for the same seed (SplitMix64).
pub fn numbers(seed: u64, len: usize, size: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..len)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let unit = ((z ^ (z >> 31)) >> 40) as f32 / 8_388_608.0 - 1.0;
            unit * size
        })
        .collect()
}

/// Largest difference over the largest wanted value.
pub fn relative_error(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len(), "lengths");
    let size = want.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
    let mut worst = 0.0_f64;
    for (g, w) in got.iter().zip(want) {
        let difference = (f64::from(*g) - w).abs();
        worst = if difference.is_nan() {
            f64::INFINITY
        } else {
            worst.max(difference)
        };
    }
    if size == 0.0 { worst } else { worst / size }
}

/// Fails unless the largest difference is at most `units` rounding units of the largest wanted value.
///
/// # Panics
/// When it is more, with both figures.
#[track_caller]
pub fn assert_close(what: &str, got: &[f32], want: &[f64], units: f64, unit: f64) {
    let error = relative_error(got, want) / unit;
    assert!(
        error <= units,
        "{what}: {error:.1} rounding units off, at most {units} allowed"
    );
}

/// f32 values as f64.
pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// Central differences of `f` at `x` in f64: `(f(x + h) − f(x − h)) / 2h` for each coordinate.
pub fn numerical_gradient(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let h = 1e-5;
    let mut moved = x.to_vec();
    (0..x.len())
        .map(|i| {
            moved[i] = x[i] + h;
            let up = f(&moved);
            moved[i] = x[i] - h;
            let down = f(&moved);
            moved[i] = x[i];
            (up - down) / (2.0 * h)
        })
        .collect()
}

/// SmolLM2-135M's GGUF file: `VERDICT_SMOLLM2_GGUF`, or where `verdict pull smollm2-135m` put it. Says on
/// stderr that a test is skipped where there is none.
pub fn smollm2_gguf() -> Option<std::path::PathBuf> {
    let from = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(std::path::PathBuf::from)
    };
    let cached = || {
        let cache = from("VERDICT_CACHE")
            .or_else(|| Some(from("XDG_CACHE_HOME")?.join("verdict")))
            .or_else(|| Some(from("HOME")?.join(".cache/verdict")))?;
        let files = std::fs::read_dir(cache.join("models/smollm2-135m")).ok()?;
        files
            .filter_map(|f| Some(f.ok()?.path()))
            .find(|p| p.extension().is_some_and(|e| e == "gguf"))
    };
    let path = from("VERDICT_SMOLLM2_GGUF").or_else(cached);
    if path.is_none() {
        #[allow(clippy::print_stderr, reason = "a skipped test must say so")]
        {
            eprintln!("skipped: SmolLM2-135M is not there; `verdict pull smollm2-135m` fetches it");
        }
    }
    path
}
