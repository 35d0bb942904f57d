//! A model without a file: what its weights are, and that they do not depend on how they are read.

use std::path::Path;

use verdict_formats::{Architecture, Checkpoint, Error, ModelConfig};

fn config() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Qwen3,
        hidden_size: 64,
        intermediate_size: 96,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 24,
        vocab_size: 500,
        max_position_embeddings: 128,
        rms_norm_eps: 1e-6,
        rope_theta: 1e6,
        rope_scaling: None,
        tie_word_embeddings: true,
        qkv_bias: false,
        qk_norm: true,
        eos_token_ids: vec![0],
    }
}

const EMBEDDING: &str = "model.embed_tokens.weight";
const Q: &str = "model.layers.0.self_attn.q_proj.weight";

fn rows(
    checkpoint: &Checkpoint,
    name: &str,
    rows: std::ops::Range<usize>,
    width: usize,
) -> Vec<f32> {
    let mut out = vec![0.0; rows.len() * width];
    checkpoint.read_rows(name, rows, &mut out).expect("there");
    out
}

#[test]
fn every_tensor_of_the_configuration_is_there() {
    let checkpoint = Checkpoint::random(config(), 1);
    let mut expected = config().tensors();
    expected.sort();
    let names: Vec<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(checkpoint.names(), names);
    for (name, shape) in &expected {
        assert_eq!(checkpoint.shape(name), Some(shape.as_slice()), "{name}");
        assert_eq!(checkpoint.dtype(name).as_deref(), Some("F32"));
        let (count, width) = match shape.as_slice() {
            [width] => (1, *width),
            [count, width] => (*count, *width),
            other => panic!("{other:?}"),
        };
        let values = rows(&checkpoint, name, 0..count, width);
        if name.ends_with("norm.weight") {
            assert!(values.iter().all(|value| *value == 1.0), "{name}");
        } else {
            assert!(values.iter().all(|value| *value != 1.0), "{name}");
        }
    }
    assert_eq!(checkpoint.path(), Path::new("random weights"));
}

#[test]
fn weights_are_uniform_with_a_deviation_of_two_hundredths() {
    let checkpoint = Checkpoint::random(config(), 1);
    let values = rows(&checkpoint, EMBEDDING, 0..500, 64);
    let n = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let square = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / n;
    // Four standard errors: 0.02 / √n of the mean; of the mean square, 0.02² · √(4/5 / n).
    let error = 4.0 / n.sqrt();
    assert!(mean.abs() < 0.02 * error, "{mean}");
    assert!(
        (square / 4e-4 - 1.0).abs() < 0.8_f64.sqrt() * error,
        "{square}"
    );
    let edge = 0.02 * 3.0_f32.sqrt();
    let largest = values.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
    assert!(largest <= edge && largest > 0.99 * edge, "{largest}");
    // Neighbours in a row and in a column have nothing to do with each other.
    for step in [1, 64] {
        let pairs = values.iter().zip(&values[step..]);
        let product: f64 = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        assert!((product / n / 4e-4).abs() < error, "{step}: {product}");
    }
}

#[test]
fn a_weight_depends_on_seed_tensor_and_place_alone() {
    let checkpoint = Checkpoint::random(config(), 1);
    let whole = rows(&checkpoint, Q, 0..96, 64);
    assert_eq!(rows(&checkpoint, Q, 17..40, 64), whole[17 * 64..40 * 64]);
    assert_eq!(rows(&Checkpoint::random(config(), 1), Q, 0..96, 64), whole);
    assert_ne!(rows(&Checkpoint::random(config(), 2), Q, 0..96, 64), whole);
    assert_ne!(rows(&checkpoint, EMBEDDING, 0..96, 64), whole);
}

#[test]
fn what_is_not_there_is_refused_as_from_a_file() {
    let checkpoint = Checkpoint::random(config(), 1);
    let missing = checkpoint.read_rows("lm_head.weight", 0..1, &mut [0.0; 64]);
    assert!(matches!(missing, Err(Error::MissingTensor { .. })));
    for (rows, len) in [(0..97, 97 * 64), (0..2, 64)] {
        let bad = checkpoint.read_rows(Q, rows, &mut vec![0.0; len]);
        assert!(matches!(bad, Err(Error::BadRows { .. })));
    }
    assert!(checkpoint.tokenizer().is_err());
}
