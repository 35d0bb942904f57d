//! Cross-entropy against f64.

use verdict_testkit::{F32_UNIT, assert_close, numbers, wide};

use crate::cpu::{Compute, Cpu, Isa};
use crate::loss::{cross_entropy, log_softmax_at, reference};

#[test]
fn loss_and_gradient() {
    for isa in Isa::ALL.into_iter().filter(|i| *i <= Isa::hardware()) {
        let cpu = Cpu::new(2, Some(Compute::F32), isa).expect("cpu");
        let (rows, v) = (5, 333);
        let mut logits = numbers(1, rows * v, 20.0);
        let plain = wide(&logits);
        let targets = [0, 332, 17, 100, 31];
        let weights = [1.0, 0.5, 0.25, 2.0, 1.0];
        let at: Vec<f32> = (0..rows)
            .map(|r| -log_softmax_at(isa, &logits[r * v..][..v], targets[r] as usize))
            .collect();
        let losses = cross_entropy(&cpu, &mut logits, &targets, &weights);
        assert_eq!(at, losses);
        for r in 0..rows {
            let (loss, mut gradient) =
                reference::cross_entropy(&plain[r * v..][..v], targets[r] as usize);
            gradient
                .iter_mut()
                .for_each(|g| *g *= f64::from(weights[r]));
            assert_close("loss", &losses[r..=r], &[loss], 8.0, F32_UNIT);
            assert_close("gradient", &logits[r * v..][..v], &gradient, 64.0, F32_UNIT);
        }
    }
}

#[test]
fn one_sure_logit_costs_nothing() {
    let cpu = Cpu::best().expect("cpu");
    let mut logits = vec![-1e30_f32; 100];
    logits[40] = 1e30;
    assert_eq!(cross_entropy(&cpu, &mut logits, &[40], &[1.0]), vec![0.0]);
    assert!(logits.iter().all(|g| *g == 0.0));
}
