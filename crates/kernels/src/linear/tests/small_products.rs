//! Many small products into one matrix, as the adapters need them, against sums in f64.

use verdict_testkit::{F32_UNIT, assert_close, numbers};

use super::{SHAPES, rows};
use crate::cpu::Cpu;
use crate::cuda::testing::{Machine, machines};
use crate::linear::{Mode, RightOperand, Rows, SmallProduct, matmul, reference};

#[test]
fn small_products_of_adapters() {
    for cpu in machines() {
        for (m, k, n) in SHAPES {
            let what = format!("{} {:?} {m}x{k}x{n}", cpu.isa(), cpu.compute());
            let x = numbers(3, m * k, 1.0);
            let left = rows(&cpu, &x, k);
            let product = |right| SmallProduct {
                left: &left,
                rows: 0..m,
                from: 0,
                right,
                out_row: 0,
                out_column: 0,
                mode: Mode::Add,
                factor: 2.0,
            };
            let w = numbers(6, n * k, 0.3);
            for (right, want) in [
                (
                    RightOperand::Transposed {
                        data: &w,
                        n,
                        k,
                        ld: k,
                    },
                    reference::times_transposed(
                        &cpu.seen(x.clone()),
                        &cpu.seen(w.clone()),
                        m,
                        k,
                        n,
                    ),
                ),
                (
                    RightOperand::Plain {
                        data: &w,
                        k,
                        n,
                        ld: n,
                    },
                    reference::times(&cpu.seen(x.clone()), &cpu.seen(w.clone()), m, k, n),
                ),
            ] {
                let mut y = vec![1.0; m * n];
                matmul(&cpu, &[product(right)], &mut y, n);
                let want: Vec<f64> = want.iter().map(|v| 1.0 + 2.0 * v).collect();
                assert_close(&what, &y, &want, 24.0, F32_UNIT);
            }
        }
    }
}

/// `out += uᵀ x` over the examples `spans`.
fn gradient(
    cpu: &Cpu,
    u: &[f32],
    r: usize,
    x: &Rows,
    spans: &[std::ops::Range<usize>],
    out: &mut [f32],
) {
    let mut left = Rows::default();
    left.set_transposed(cpu, u, r, 0..r, spans, 1.0);
    let n = x.columns();
    let right = RightOperand::Batch {
        rows: x,
        from: 0,
        n,
        blocks: spans,
    };
    let product = SmallProduct {
        left: &left,
        rows: 0..r,
        from: 0,
        right,
        out_row: 0,
        out_column: 0,
        mode: Mode::Continue,
        factor: 1.0,
    };
    matmul(cpu, &[product], out, n);
}

#[test]
fn sums_over_a_batch_continue_bit_for_bit() {
    let spans = [0..5, 5..50, 50..51, 51..90];
    let (t, r, n) = (90, 12, 70);
    for cpu in machines() {
        let u = numbers(1, t * r, 1.0);
        let values = numbers(2, t * n, 1.0);
        let x = rows(&cpu, &values, n);
        let mut whole = vec![0.0; r * n];
        gradient(&cpu, &u, r, &x, &spans, &mut whole);
        let mut parts = vec![0.0; r * n];
        gradient(&cpu, &u, r, &x, &spans[..1], &mut parts);
        gradient(&cpu, &u, r, &x, &spans[1..3], &mut parts);
        gradient(&cpu, &u, r, &x, &spans[3..], &mut parts);
        assert_eq!(whole, parts, "{} {:?}", cpu.isa(), cpu.compute());
        let mut transposed = vec![0.0; r * t];
        for (i, row) in u.chunks_exact(r).enumerate() {
            row.iter()
                .enumerate()
                .for_each(|(j, v)| transposed[j * t + i] = *v);
        }
        let want = reference::times(&cpu.seen(transposed), &cpu.seen(values), r, t, n);
        assert_close(
            &format!("{} {:?}", cpu.isa(), cpu.compute()),
            &whole,
            &want,
            24.0,
            F32_UNIT,
        );
    }
}

#[test]
#[should_panic(expected = "two products write one element")]
fn overlapping_products_are_refused() {
    let cpu = Cpu::best().expect("cpu");
    let left = rows(&cpu, &[1.0; 64], 32);
    let w = [1.0; 64];
    let product = |out_column| SmallProduct {
        left: &left,
        rows: 0..2,
        from: 0,
        right: RightOperand::Plain {
            data: &w,
            k: 32,
            n: 2,
            ld: 2,
        },
        out_row: 0,
        out_column,
        mode: Mode::Assign,
        factor: 1.0,
    };
    matmul(&cpu, &[product(0), product(1)], &mut [0.0; 8], 4);
}
