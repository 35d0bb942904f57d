//! SwiGLU against f64 and numerical derivatives.

use verdict_testkit::{F32_UNIT, assert_close, numbers, numerical_gradient, wide};

use crate::cpu::Isa;
use crate::swiglu::{reference, swiglu_backward, swiglu_forward};

#[test]
fn forward_and_backward() {
    for isa in Isa::ALL.into_iter().filter(|i| *i <= Isa::hardware()) {
        let f = 70;
        let (x, dy) = (numbers(1, 2 * f, 6.0), numbers(2, f, 1.0));
        let wide_x = wide(&x);
        let want: Vec<f64> = (0..f)
            .map(|i| reference::forward(wide_x[i], wide_x[f + i]))
            .collect();
        let mut y = vec![0.0; f];
        swiglu_forward(isa, &x, &mut y);
        assert_close("forward", &y, &want, 8.0, F32_UNIT);
        let loss = |x: &[f64]| {
            (0..f)
                .map(|i| reference::forward(x[i], x[f + i]) * f64::from(dy[i]))
                .sum()
        };
        let mut d = vec![0.0; 2 * f];
        swiglu_backward(isa, &x, &dy, &mut d);
        assert_close(
            "backward",
            &d,
            &numerical_gradient(&wide_x, loss),
            16.0,
            F32_UNIT,
        );
    }
}
