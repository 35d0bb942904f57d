//! RMS norm against f64 and numerical derivatives.

use verdict_testkit::{F32_UNIT, assert_close, numbers, numerical_gradient, wide};

use crate::cpu::Isa;
use crate::norm::{reference, rms_norm_backward, rms_norm_forward};

#[test]
fn forward_and_backward() {
    for isa in Isa::ALL.into_iter().filter(|i| *i <= Isa::hardware()) {
        for h in [8, 24, 64, 576] {
            let (x, w, dy) = (numbers(1, h, 2.0), numbers(2, h, 1.5), numbers(3, h, 1.0));
            let mut y = vec![0.0; h];
            rms_norm_forward(isa, &x, &w, 1e-5, &mut y);
            assert_close(
                "forward",
                &y,
                &reference::forward(&wide(&x), &wide(&w), 1e-5),
                8.0,
                F32_UNIT,
            );

            let mut dx = numbers(4, h, 1.0);
            let before = dx.clone();
            rms_norm_backward(isa, &x, &w, 1e-5, &dy, &mut dx);
            let loss = |x: &[f64]| -> f64 {
                reference::forward(x, &wide(&w), 1e-5)
                    .iter()
                    .zip(&dy)
                    .map(|(y, d)| y * f64::from(*d))
                    .sum()
            };
            let mut want = numerical_gradient(&wide(&x), loss);
            want.iter_mut()
                .zip(&before)
                .for_each(|(w, b)| *w += f64::from(*b));
            assert_close("backward", &dx, &want, 16.0, F32_UNIT);
        }
    }
}
