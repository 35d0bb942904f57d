//! Tokens of a lower weight: their gradient is the sum of the gradients of both parts, each with its own weight.

mod support;

use support::Golden;
use verdict_model::{AdamW, AdapterBank, AdapterSpec, BaseQuantization, Example, Trainer};

#[test]
fn the_gradient_of_a_weighted_rest_is_that_of_both_parts() {
    let golden = Golden::read("qwen3");
    let model = golden.on_device(BaseQuantization::F32);
    let sequences = golden.sequences();
    let tokens = &sequences
        .iter()
        .max_by_key(|s| s.tokens.len())
        .expect("some")
        .tokens;
    let (from, rest, factor) = (2, tokens.len() / 2, 0.25);
    let gradient = |examples: &[Example<'_>]| -> Vec<f32> {
        let mut bank = AdapterBank::empty();
        bank.create(
            model.config(),
            &AdapterSpec {
                name: "a".into(),
                rank: 4,
                alpha: 8.0,
                dropout: 0.0,
                seed: 1,
            },
        );
        let mut trainer = Trainer::new(&model, bank, AdamW::default()).expect("trainer");
        trainer.accumulate(&model, examples, &[]).expect("pass");
        let gradient = trainer.gradient(&model, 0).expect("gradient");
        gradient
            .tensors
            .into_values()
            .flat_map(|tensor| tensor.data)
            .collect()
    };
    let example = |tokens, loss_from, weight, rest| Example {
        adapter: Some(0),
        tokens,
        loss_from,
        weight,
        rest,
        key: 0,
    };
    let together = gradient(&[example(&tokens[..], from, 0.1, Some((rest, factor)))]);
    let parts = gradient(&[
        example(&tokens[..rest], from, 0.1, None),
        example(&tokens[..], rest, 0.1 * factor, None),
    ]);
    let largest = parts
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    assert!(largest > 0.0);
    // f32 sums in another order on a CPU; products in bf16 on a GPU.
    let tolerance = largest * if support::on_gpu() { 2e-2 } else { 1e-5 };
    for (a, b) in together.iter().zip(&parts) {
        assert!((a - b).abs() <= tolerance, "{a} against {b}");
    }
}
