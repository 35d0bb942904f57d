//! AdamW against the paper's formula in f64.

use verdict_testkit::{F32_UNIT, assert_close, numbers, wide};

use crate::adamw::{AdamW, adamw_step, clip_factor, reference, sum_of_squares};
use crate::cpu::{Compute, Cpu, Isa};

#[test]
fn ten_steps() {
    for isa in Isa::ALL.into_iter().filter(|i| *i <= Isa::hardware()) {
        let cpu = Cpu::new(2, Some(Compute::F32), isa).expect("cpu");
        let n = 70_001;
        let adam = AdamW {
            weight_decay: 0.1,
            ..AdamW::default()
        };
        let (mut w, mut m, mut v) = (numbers(1, n, 1.0), vec![0.0; n], vec![0.0; n]);
        let mut want: Vec<(f64, f64, f64)> = wide(&w).into_iter().map(|w| (w, 0.0, 0.0)).collect();
        for step in 1..=10 {
            let g = numbers(100 + u64::from(step), n, 0.3);
            adamw_step(
                &cpu,
                &adam,
                step,
                0.01,
                0.5,
                &mut w,
                &mut g.clone(),
                &mut m,
                &mut v,
            );
            for (s, g) in want.iter_mut().zip(&g) {
                let betas = (f64::from(adam.beta1), f64::from(adam.beta2));
                let decay = f64::from(adam.weight_decay);
                *s = reference::step(
                    s.0,
                    f64::from(*g) * 0.5,
                    s.1,
                    s.2,
                    step as i32,
                    f64::from(0.01_f32),
                    betas,
                    1e-8,
                    decay,
                );
            }
        }
        assert_close(
            "weights",
            &w,
            &want.iter().map(|s| s.0).collect::<Vec<_>>(),
            64.0,
            F32_UNIT,
        );
    }
}

#[test]
fn clipping_and_norm() {
    let cpu = Cpu::best().expect("cpu");
    assert_eq!(sum_of_squares(&cpu, &[3.0, 4.0]), 25.0);
    assert_eq!(sum_of_squares(&cpu, &vec![2.0; 200_000]), 800_000.0);
    assert_eq!(clip_factor(0.5, 1.0), 1.0);
    assert!((clip_factor(5.0, 1.0) - 0.2).abs() < 1e-6);
    assert_eq!(clip_factor(1e9, f32::INFINITY), 1.0);
}
