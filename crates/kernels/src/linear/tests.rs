//! Products of every format on every instruction set of this machine, against sums in f64.

use verdict_testkit::{F32_UNIT, assert_close, numbers};

use crate::cpu::math::{from_bf16, to_bf16};
use crate::cpu::{Compute, Cpu, Isa};
use crate::linear::{Base, Columns, FrozenLinear, Job, Mode, Rows, matmul, reference};

/// Every instruction set and product format this machine has.
fn machines() -> Vec<Cpu> {
    let mut all = Vec::new();
    for isa in Isa::ALL {
        for compute in [Compute::F32, Compute::Bf16] {
            if isa > Isa::hardware() {
                eprintln_skip(isa);
            } else if let Ok(cpu) = Cpu::new(2, Some(compute), isa) {
                all.push(cpu);
            }
        }
    }
    all
}

#[allow(
    clippy::print_stderr,
    reason = "a skipped instruction set must be seen"
)]
fn eprintln_skip(isa: Isa) {
    eprintln!("skipped: this processor has no {isa}");
}

/// Operands as the products read them, so that only the sums differ.
fn seen(cpu: &Cpu, values: &[f32]) -> Vec<f32> {
    match cpu.compute() {
        Compute::F32 => values.to_vec(),
        Compute::Bf16 => values.iter().map(|v| from_bf16(to_bf16(*v))).collect(),
    }
}

fn rows(cpu: &Cpu, values: &[f32], columns: usize) -> Rows {
    let mut rows = Rows::default();
    rows.set(cpu, values, columns, columns, None);
    rows
}

fn frozen(
    cpu: &Cpu,
    base: Base,
    w: &[f32],
    n: usize,
    k: usize,
    bias: Option<Vec<f32>>,
) -> FrozenLinear {
    let read = |range: std::ops::Range<usize>, out: &mut [f32]| -> Result<(), ()> {
        out.copy_from_slice(&w[range.start * k..range.end * k]);
        Ok(())
    };
    FrozenLinear::pack(cpu, base, n, k, bias, read).expect("reads")
}

/// The weights as a frozen matrix holds them.
fn held(linear: &FrozenLinear) -> Vec<f32> {
    let mut w = vec![0.0; linear.outputs() * linear.inputs()];
    for (n, row) in w.chunks_exact_mut(linear.inputs()).enumerate() {
        linear.row(n, row);
    }
    w
}

const SHAPES: [(usize, usize, usize); 5] = [
    (1, 64, 48),
    (7, 96, 80),
    (33, 33, 17),
    (70, 160, 5),
    (130, 576, 200),
];

#[test]
fn frozen_forward_and_backward() {
    for cpu in machines() {
        for base in [Base::F32, Base::Bf16, Base::Int8] {
            for (m, k, n) in SHAPES {
                let what = format!("{} {:?} {base:?} {m}x{k}x{n}", cpu.isa(), cpu.compute());
                let w = numbers(1, n * k, 0.2);
                let bias = numbers(2, n, 0.5);
                let linear = frozen(&cpu, base, &w, n, k, Some(bias.clone()));
                let held = held(&linear);
                let read = if base == Base::F32 {
                    seen(&cpu, &held)
                } else {
                    held
                };

                let x = numbers(3, m * k, 1.0);
                let mut y = vec![7.0; m * n];
                linear.forward(&cpu, &rows(&cpu, &x, k), &mut y, Mode::Assign);
                let mut want = reference::times_transposed(&seen(&cpu, &x), &read, m, k, n);
                want.iter_mut()
                    .enumerate()
                    .for_each(|(i, v)| *v += f64::from(bias[i % n]));
                assert_close(&format!("{what} forward"), &y, &want, 24.0, F32_UNIT);

                let dy = numbers(4, m * n, 1.0);
                let mut scaled = Rows::default();
                scaled.set(&cpu, &dy, n, n, linear.scale());
                let mut dx = numbers(5, m * k, 1.0);
                let before: Vec<f64> = dx.iter().map(|v| f64::from(*v)).collect();
                linear.backward(&cpu, &scaled, &mut dx, Mode::Add);
                let plain = match linear.scale() {
                    None => read,
                    Some(s) => read
                        .iter()
                        .enumerate()
                        .map(|(i, w)| (w / s[i / k]).round())
                        .collect(),
                };
                let scaled: Vec<f32> = (0..m).flat_map(|i| scaled.row(i)).collect();
                let mut want = reference::times(&scaled, &plain, m, n, k);
                want.iter_mut().zip(before).for_each(|(w, b)| *w += b);
                assert_close(&format!("{what} backward"), &dx, &want, 24.0, F32_UNIT);
            }
        }
    }
}

#[test]
fn int8_is_within_half_a_step_of_the_weight() {
    let cpu = Cpu::new(1, Some(Compute::F32), Isa::Portable).expect("cpu");
    let (n, k) = (19, 70);
    let w = numbers(8, n * k, 0.3);
    let linear = frozen(&cpu, Base::Int8, &w, n, k, None);
    let scale = linear.scale().expect("int8 has scales");
    for (i, (w, h)) in w.iter().zip(held(&linear)).enumerate() {
        assert!(
            (w - h).abs() <= scale[i / k] * 0.5001,
            "weight {i}: {w} held as {h}"
        );
    }
}

#[test]
fn a_row_of_zeros_stays_zero_in_int8() {
    let cpu = Cpu::best().expect("cpu");
    let linear = frozen(&cpu, Base::Int8, &[0.0; 2 * 32], 2, 32, None);
    assert_eq!(held(&linear), vec![0.0; 64]);
}

#[test]
fn small_products_of_adapters() {
    for cpu in machines() {
        for (m, k, n) in SHAPES {
            let what = format!("{} {:?} {m}x{k}x{n}", cpu.isa(), cpu.compute());
            let x = numbers(3, m * k, 1.0);
            let left = rows(&cpu, &x, k);
            let job = |right| Job {
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
                    Columns::Transposed {
                        data: &w,
                        n,
                        k,
                        ld: k,
                    },
                    reference::times_transposed(&seen(&cpu, &x), &seen(&cpu, &w), m, k, n),
                ),
                (
                    Columns::Plain {
                        data: &w,
                        k,
                        n,
                        ld: n,
                    },
                    reference::times(&seen(&cpu, &x), &seen(&cpu, &w), m, k, n),
                ),
            ] {
                let mut y = vec![1.0; m * n];
                matmul(&cpu, &[job(right)], &mut y, n);
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
    let right = Columns::Batch {
        rows: x,
        from: 0,
        n,
        blocks: spans,
    };
    let job = Job {
        left: &left,
        rows: 0..r,
        from: 0,
        right,
        out_row: 0,
        out_column: 0,
        mode: Mode::Continue,
        factor: 1.0,
    };
    matmul(cpu, &[job], out, n);
}

#[test]
fn sums_over_a_batch_go_on_bit_for_bit() {
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
        let want = reference::times(&seen(&cpu, &transposed), &seen(&cpu, &values), r, t, n);
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
fn a_row_does_not_depend_on_its_company() {
    let (m, k, n) = (77, 128, 96);
    let w = numbers(1, n * k, 0.2);
    let x = numbers(3, m * k, 1.0);
    for cpu in machines() {
        let linear = frozen(&cpu, Base::Int8, &w, n, k, None);
        let mut together = vec![0.0; m * n];
        linear.forward(&cpu, &rows(&cpu, &x, k), &mut together, Mode::Assign);
        let single = Cpu::new(1, Some(cpu.compute()), cpu.isa()).expect("cpu");
        for row in [0, 15, 16, 40, 76] {
            let mut alone = vec![0.0; n];
            linear.forward(
                &single,
                &rows(&cpu, &x[row * k..(row + 1) * k], k),
                &mut alone,
                Mode::Assign,
            );
            assert_eq!(
                alone,
                together[row * n..(row + 1) * n],
                "{} {:?} row {row}",
                cpu.isa(),
                cpu.compute()
            );
        }
    }
}

#[test]
fn f32_products_have_the_same_bits_on_every_instruction_set() {
    let (m, k, n) = (21, 70, 33);
    let w = numbers(1, n * k, 0.2);
    let x = numbers(3, m * k, 1.0);
    let mut first: Option<Vec<f32>> = None;
    for cpu in machines().iter().filter(|c| c.compute() == Compute::F32) {
        let linear = frozen(cpu, Base::Int8, &w, n, k, None);
        let mut y = vec![0.0; m * n];
        linear.forward(cpu, &rows(cpu, &x, k), &mut y, Mode::Assign);
        assert_eq!(first.get_or_insert_with(|| y.clone()), &y, "{}", cpu.isa());
    }
}

#[test]
#[should_panic(expected = "two products write one element")]
fn overlapping_products_are_refused() {
    let cpu = Cpu::best().expect("cpu");
    let left = rows(&cpu, &[1.0; 64], 32);
    let w = [1.0; 64];
    let job = |out_column| Job {
        left: &left,
        rows: 0..2,
        from: 0,
        right: Columns::Plain {
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
    matmul(&cpu, &[job(0), job(1)], &mut [0.0; 8], 4);
}
