//! NF4 as bitsandbytes has it.

use half::bf16;
use verdict_testkit::numbers;

use super::{Frozen, pack};
use crate::cuda::Gpu;
use crate::cuda::testing::{Machine, WORKS, gpu, rounded};
use crate::linear::GpuLinear;
use crate::number_formats::BaseQuantization;

/// What 4 bits stand for, in parts of the largest of 64 weights (Dettmers et al. 2023, appendix E).
const LEVELS: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Packed weights: a byte for two, the first in its upper half; and the largest of every 64.
#[derive(Debug, PartialEq)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    largest: Vec<f32>,
}

/// Plainly: the nearest level.
fn quantise(w: &[f32]) -> Packed {
    let largest = |block: &[f32]| block.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
    let nearest = |part: f32| {
        let distance = |level: &usize| f64::from((LEVELS[*level] - part).abs());
        let levels = (0..16).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        levels.expect("levels") as u8
    };
    let codes = w.chunks(64).flat_map(|block| {
        let most = largest(block);
        let part = move |w: &f32| if most > 0.0 { w / most } else { 0.0 };
        block.iter().map(move |w| nearest(part(w)))
    });
    let codes: Vec<u8> = codes.collect();
    Packed {
        bytes: codes.chunks(2).map(|c| c[0] << 4 | c[1]).collect(),
        largest: w.chunks(64).map(largest).collect(),
    }
}

impl Packed {
    /// As a GPU holds them.
    pub(super) fn read(gpu: &Gpu, linear: &GpuLinear) -> Option<Self> {
        let (words, largest) = linear.nf4_blocks()?;
        let words = gpu.download(words).expect(WORKS);
        Some(Self {
            bytes: words.iter().flat_map(|w| w.to_le_bytes()).collect(),
            largest: gpu.download(largest).expect(WORKS),
        })
    }

    /// Level times the largest, before it is rounded to bf16.
    pub(super) fn held(&self) -> Vec<f32> {
        let codes = self.bytes.iter().flat_map(|b| [b >> 4, b & 15]);
        let held = codes.enumerate();
        held.map(|(i, code)| LEVELS[usize::from(code)] * self.largest[i / 64])
            .collect()
    }
}

/// Weights, packed and unpacked by bitsandbytes (`dev/reference/nf4_golden.py`).
struct Golden {
    rows: usize,
    weights: Vec<f32>,
    packed: Packed,
    unpacked: Vec<f32>,
}

impl Golden {
    fn read() -> Self {
        let json: serde_json::Value = serde_json::from_str(include_str!("nf4.json")).expect("JSON");
        let list = |key: &str| -> Vec<f32> {
            serde_json::from_value(json[key].clone()).expect("a list of numbers")
        };
        Self {
            rows: json["rows"].as_u64().expect("a number") as usize,
            weights: list("weights"),
            packed: Packed {
                bytes: serde_json::from_value(json["packed"].clone()).expect("bytes"),
                largest: list("largest"),
            },
            unpacked: list("unpacked"),
        }
    }
}

#[test]
fn the_nearest_level_is_what_bitsandbytes_takes() {
    let golden = Golden::read();
    let packed = quantise(&golden.weights);
    assert_eq!(packed, golden.packed);
    assert_eq!(rounded(&packed.held()), golden.unpacked);
}

#[test]
fn a_gpu_packs_as_bitsandbytes_does() {
    let Some(gpu) = gpu() else {
        return;
    };
    let golden = Golden::read();
    // Twice: rows come by eights.
    let weights = golden.weights.repeat(2);
    let linear = pack(gpu, BaseQuantization::Nf4, &weights, 2 * golden.rows, None);
    let packed = Packed::read(gpu, &linear).expect("nf4");
    assert_eq!(packed.bytes, golden.packed.bytes.repeat(2));
    assert_eq!(packed.largest, golden.packed.largest.repeat(2));
}

#[test]
fn a_level_is_at_most_half_a_gap_off() {
    let Some(gpu) = gpu() else {
        return;
    };
    let (n, k) = (16, 192);
    let w = gpu.seen(numbers(8, n * k, 0.3));
    let linear = Frozen::pack(gpu, BaseQuantization::Nf4, &w, n, None);
    let most: Vec<f32> = quantise(&w).largest;
    for (i, (w, held)) in w.iter().zip(linear.held()).enumerate() {
        // The widest gap is that at -1.
        let half = (LEVELS[1] - LEVELS[0]) / 2.0 * most[i / 64];
        assert!(
            (w - held).abs() <= half * 1.000_1,
            "weight {i}: {w} held as {held}"
        );
        assert_eq!(bf16::from_f32(*w).to_f32(), *w);
    }
}
