//! Rotation against f64; its inverse undoes it.

use verdict_testkit::{F32_UNIT, assert_close, numbers, wide};

use crate::cpu::Isa;
use crate::rope::{RopeTable, reference};

#[test]
fn rotates_as_the_formula_says() {
    let isa = Isa::detect();
    for (d, theta) in [(16, 1e4_f32), (24, 1e6), (64, 1e5), (128, 1e6)] {
        let table = RopeTable::new(d, 600, theta);
        for position in [0_usize, 1, 17, 511] {
            let x = numbers(position as u64, d, 1.0);
            let mut y = x.clone();
            table.rotate(isa, position, &mut y);
            // The angle is position × frequency in f32, as transformers has it: off by up to that many
            // half units of the frequency.
            let units = 8.0 + 2.0 * position as f64;
            assert_close(
                "rotated",
                &y,
                &reference::rotate(&wide(&x), position, f64::from(theta)),
                units,
                F32_UNIT,
            );
            table.rotate_back(isa, position, &mut y);
            assert_close("and back", &y, &wide(&x), 8.0, F32_UNIT);
        }
    }
}

#[test]
fn backward_is_the_transpose() {
    // <R x, y> = <x, Rᵀ y>
    let table = RopeTable::new(64, 100, 1e4);
    let (x, y) = (numbers(1, 64, 1.0), numbers(2, 64, 1.0));
    let (mut rx, mut ry) = (x.clone(), y.clone());
    table.rotate(Isa::detect(), 37, &mut rx);
    table.rotate_back(Isa::detect(), 37, &mut ry);
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum::<f64>()
    };
    assert!((dot(&rx, &y) - dot(&x, &ry)).abs() < 64.0 * F32_UNIT * 8.0);
}
