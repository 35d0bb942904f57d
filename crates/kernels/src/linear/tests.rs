//! Products of every format on every machine, against sums in f64.

mod device;
mod nf4;
mod small_products;

use verdict_testkit::{BF16_UNIT, assert_close, numbers, wide};

use crate::cpu::{Cpu, Isa};
use crate::cuda::testing::{
    Machine, Output, WORKS, bits, everywhere, machines, rounded, rows as on_gpu, shapes, widened,
};
use crate::cuda::{Gpu, GpuError, Staging};
use crate::linear::{FrozenLinear, GpuLinear, Mode, Out, Rows, Scratch, Unpacker, reference};
use crate::number_formats::{BaseQuantization, ComputeDtype};

#[allow(
    clippy::print_stderr,
    reason = "a skipped instruction set must be seen"
)]
fn report_skipped() {
    for isa in Isa::ALL.into_iter().filter(|isa| *isa > Isa::hardware()) {
        eprintln!("skipped: this processor has no {isa}");
    }
}

fn rows(cpu: &Cpu, values: &[f32], columns: usize) -> Rows {
    let mut rows = Rows::default();
    rows.set(cpu, values, columns, columns, None);
    rows
}

fn frozen(
    cpu: &Cpu,
    base: BaseQuantization,
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

/// A frozen matrix `[n, k]` of some machine.
trait Matrix {
    /// Its weights.
    fn held(&self) -> Vec<f32>;
    /// Of its rows, in int8.
    fn scales(&self) -> Option<Vec<f32>>;
    /// `[m, n]` from `[m, k]`, added to `before`.
    fn forward(&self, x: &[f32], before: Option<&[f32]>) -> Vec<f32>;
    /// `[m, k]` from `[m, n]`, added to `before`.
    fn backward(&self, dy: &[f32], before: Option<&[f32]>) -> Vec<f32>;
    /// x and W as the sums of forward read them.
    fn forward_operands(&self, x: &[f32]) -> [Vec<f32>; 2];
    /// dy and W as the sums of backward read them.
    fn backward_operands(&self, dy: &[f32]) -> [Vec<f32>; 2];
}

trait Frozen: Machine {
    fn bases(&self) -> Vec<BaseQuantization>;
    fn pack<'a>(
        &'a self,
        base: BaseQuantization,
        w: &[f32],
        n: usize,
        bias: Option<&[f32]>,
    ) -> Box<dyn Matrix + 'a>;
}

struct OnCpu<'a> {
    cpu: &'a Cpu,
    base: BaseQuantization,
    linear: FrozenLinear,
}

impl Frozen for Cpu {
    fn bases(&self) -> Vec<BaseQuantization> {
        vec![
            BaseQuantization::F32,
            BaseQuantization::Bf16,
            BaseQuantization::Int8,
        ]
    }

    fn pack<'a>(
        &'a self,
        base: BaseQuantization,
        w: &[f32],
        n: usize,
        bias: Option<&[f32]>,
    ) -> Box<dyn Matrix + 'a> {
        let linear = frozen(self, base, w, n, w.len() / n, bias.map(<[f32]>::to_vec));
        Box::new(OnCpu {
            cpu: self,
            base,
            linear,
        })
    }
}

impl OnCpu<'_> {
    fn scaled(&self, dy: &[f32]) -> Rows {
        let (n, mut scaled) = (self.linear.outputs(), Rows::default());
        scaled.set(self.cpu, dy, n, n, self.linear.scale());
        scaled
    }
}

fn mode(before: Option<&[f32]>, len: usize) -> (Vec<f32>, Mode) {
    match before {
        Some(before) => (before.to_vec(), Mode::Add),
        None => (vec![f32::NAN; len], Mode::Assign),
    }
}

impl Matrix for OnCpu<'_> {
    fn held(&self) -> Vec<f32> {
        held(&self.linear)
    }

    fn scales(&self) -> Option<Vec<f32>> {
        self.linear.scale().map(<[f32]>::to_vec)
    }

    fn forward(&self, x: &[f32], before: Option<&[f32]>) -> Vec<f32> {
        let (n, k) = (self.linear.outputs(), self.linear.inputs());
        let (mut y, mode) = mode(before, x.len() / k * n);
        let x = rows(self.cpu, x, k);
        self.linear.forward(self.cpu, &x, &mut y, mode);
        y
    }

    fn backward(&self, dy: &[f32], before: Option<&[f32]>) -> Vec<f32> {
        let (n, k) = (self.linear.outputs(), self.linear.inputs());
        let (mut dx, mode) = mode(before, dy.len() / n * k);
        let scaled = self.scaled(dy);
        self.linear.backward(self.cpu, &scaled, &mut dx, mode);
        dx
    }

    fn forward_operands(&self, x: &[f32]) -> [Vec<f32>; 2] {
        let w = match self.base {
            BaseQuantization::F32 => self.cpu.seen(self.held()),
            _ => self.held(),
        };
        [self.cpu.seen(x.to_vec()), w]
    }

    fn backward_operands(&self, dy: &[f32]) -> [Vec<f32>; 2] {
        let [dy_seen, w] = self.forward_operands(dy);
        let Some(scale) = self.linear.scale() else {
            return [dy_seen, w];
        };
        // dy takes the scales, W is its whole numbers.
        let (k, scaled) = (self.linear.inputs(), self.scaled(dy));
        let w = w
            .iter()
            .enumerate()
            .map(|(i, w)| (w / scale[i / k]).round());
        let dy = (0..scaled.len()).flat_map(|i| scaled.row(i));
        [dy.collect(), w.collect()]
    }
}

struct OnGpu<'a> {
    gpu: &'a Gpu,
    base: BaseQuantization,
    linear: GpuLinear,
    unpacker: Unpacker,
    /// As given.
    w: Vec<f32>,
}

fn pack(gpu: &Gpu, base: BaseQuantization, w: &[f32], n: usize, bias: Option<&[f32]>) -> GpuLinear {
    let k = w.len() / n;
    let read = |range: std::ops::Range<usize>, out: &mut [f32]| -> Result<(), GpuError> {
        out.copy_from_slice(&w[range.start * k..range.end * k]);
        Ok(())
    };
    // A few rows at a time.
    let mut staging = Staging::new(gpu, 5 * k).expect(WORKS);
    GpuLinear::pack(&mut staging, base, n, k, bias, read).expect(WORKS)
}

impl Frozen for Gpu {
    fn bases(&self) -> Vec<BaseQuantization> {
        let fp8 = self.compute_capability() == (9, 0);
        let all = [
            BaseQuantization::Bf16,
            BaseQuantization::Int8,
            BaseQuantization::Nf4,
            BaseQuantization::Fp8,
        ];
        all[..if fp8 { 4 } else { 3 }].to_vec()
    }

    fn pack<'a>(
        &'a self,
        base: BaseQuantization,
        w: &[f32],
        n: usize,
        bias: Option<&[f32]>,
    ) -> Box<dyn Matrix + 'a> {
        let linear = pack(self, base, w, n, bias);
        let unpacker = Unpacker::new(self, [linear.scratch(), 0]).expect(WORKS);
        Box::new(OnGpu {
            gpu: self,
            base,
            linear,
            unpacker,
            w: w.to_vec(),
        })
    }
}

/// The weights of int8, before they become bf16, and their scales.
fn bytes_and_scales(gpu: &Gpu, linear: &GpuLinear) -> Option<(Vec<f32>, Vec<f32>)> {
    let (bytes, scales) = linear.int8_rows()?;
    let bytes = gpu.download(bytes).expect(WORKS);
    let scales = gpu.download(scales).expect(WORKS);
    let w = bytes.iter().enumerate();
    let w = w.map(|(i, q)| f32::from(*q) * scales[i / linear.inputs()]);
    Some((w.collect(), scales))
}

impl OnGpu<'_> {
    /// `[m, inputs]` to `[m, outputs]`, forward or backward.
    fn run(&self, back: bool, x: &[f32], before: Option<&[f32]>) -> Vec<f32> {
        let (gpu, w) = (self.gpu, &self.linear);
        let (inputs, outputs) = match back {
            true => (w.outputs(), w.inputs()),
            false => (w.inputs(), w.outputs()),
        };
        let m = x.len() / inputs;
        // fp8 takes rows by sixteens.
        let taken = match self.base {
            BaseQuantization::Fp8 => m.next_multiple_of(16),
            _ => m,
        };
        let padded = |rows: &[f32], width: usize| {
            let mut all = rows.to_vec();
            all.resize(taken * width, 0.0);
            all
        };
        let x = on_gpu(gpu, &padded(x, inputs));
        let input = (self.base == BaseQuantization::Fp8).then(|| {
            let (bytes, scales) = (Output::<u8>::new(gpu, taken * inputs), taken);
            (bytes, Output::<f32>::new(gpu, scales))
        });
        let product = |out: Out<'_>| {
            let scratch = Scratch {
                unpacker: &self.unpacker,
                slot: 0,
                ahead: None,
                input: input.as_ref().map(|i| (i.0.view(), i.1.view())),
            };
            let done = match back {
                true => gpu.linear_backward(w, x.view(), taken, out, scratch),
                false => gpu.linear_forward(w, x.view(), taken, out, scratch),
            };
            done.expect(WORKS);
        };
        let to = Output::new(gpu, taken * outputs);
        let add = before.map(|b| on_gpu(gpu, &padded(b, outputs)));
        product(Out {
            add: add.as_ref().map(|a| a.view()),
            to: to.view(),
        });
        let mut apart = to.wide(gpu);
        if let Some(before) = before {
            let own = Output::holding(gpu, &bits(&padded(before, outputs)));
            product(Out {
                add: Some(own.view()),
                to: own.view(),
            });
            // For a single row cuBLASLt takes another way in place: the sum is rounded once more.
            assert_close("in place", &own.wide(gpu), &wide(&apart), 3.0, BF16_UNIT);
        }
        if let Some((bytes, scales)) = &input {
            bytes.read(gpu);
            scales.read(gpu);
        }
        apart.truncate(m * outputs);
        apart
    }
}

impl Matrix for OnGpu<'_> {
    fn held(&self) -> Vec<f32> {
        match (self.linear.bf16_rows(), self.base) {
            (Some(w), _) => widened(&self.gpu.download(w).expect(WORKS)),
            (None, BaseQuantization::Int8) => {
                let both = bytes_and_scales(self.gpu, &self.linear);
                both.expect("int8 has scales").0
            }
            (None, BaseQuantization::Nf4) => {
                let packed = nf4::Packed::read(self.gpu, &self.linear);
                packed.expect("nf4 has blocks").held()
            }
            // Not given out: two steps of 3 bits from what was given.
            (None, _) => self.w.clone(),
        }
    }

    fn scales(&self) -> Option<Vec<f32>> {
        bytes_and_scales(self.gpu, &self.linear).map(|both| both.1)
    }

    fn forward(&self, x: &[f32], before: Option<&[f32]>) -> Vec<f32> {
        self.run(false, x, before)
    }

    fn backward(&self, dy: &[f32], before: Option<&[f32]>) -> Vec<f32> {
        self.run(true, dy, before)
    }

    fn forward_operands(&self, x: &[f32]) -> [Vec<f32>; 2] {
        // int8 and nf4 become bf16 before a product.
        [x.to_vec(), rounded(&self.held())]
    }

    fn backward_operands(&self, dy: &[f32]) -> [Vec<f32>; 2] {
        self.forward_operands(dy)
    }
}

const SHAPES: [(usize, usize, usize); 7] = [
    (1, 64, 48),
    (7, 96, 80),
    (33, 33, 17),
    (70, 160, 5),
    (65, 576, 200),
    (17, 2048, 96),
    (3, 96, 576),
];

#[test]
fn frozen_forward_and_backward() {
    report_skipped();
    everywhere!(machines(), |on: &dyn Frozen| {
        for base in on.bases() {
            for &(m, k, n) in shapes(&SHAPES, 4) {
                let n = on.width(n, if base == BaseQuantization::Fp8 { 16 } else { 8 });
                let k = on.width(
                    k,
                    if base == BaseQuantization::Nf4 {
                        64
                    } else {
                        16
                    },
                );
                let what = format!("{base:?} {m}x{k}x{n}");
                // On a GPU a product rounds once, where it stores. Of fp8 each factor has 4 bits, so a term
                // is off by a 16th at most and a 25th usually, and a sum of many by less.
                let units = if base == BaseQuantization::Fp8 {
                    24.0
                } else {
                    1.1
                };
                // On a CPU it is one chain of sums, whose error grows as the root of its length.
                let chain = 24.0 * (k.max(n) as f64 / 576.0).sqrt().max(1.0);
                let bias = on.seen(numbers(2, n, 0.5));
                let w = on.seen(numbers(1, n * k, 0.2));
                let linear = on.pack(base, &w, n, Some(&bias));

                let x = on.seen(numbers(3, m * k, 1.0));
                let before = on.seen(numbers(5, m * n, 1.0));
                let [x_seen, w] = linear.forward_operands(&x);
                let mut want = reference::times_transposed(&x_seen, &w, m, k, n);
                want.iter_mut()
                    .enumerate()
                    .for_each(|(i, v)| *v += f64::from(bias[i % n]));
                let y = linear.forward(&x, None);
                on.close(&format!("{what} forward"), &y, &want, chain, units);
                want.iter_mut()
                    .zip(&before)
                    .for_each(|(w, b)| *w += f64::from(*b));
                let y = linear.forward(&x, Some(&before));
                on.close(&format!("{what} forward, added"), &y, &want, chain, units);

                let dy = on.seen(numbers(4, m * n, 1.0));
                let before = on.seen(numbers(5, m * k, 1.0));
                let [dy_seen, w] = linear.backward_operands(&dy);
                let mut want = reference::times(&dy_seen, &w, m, n, k);
                let dx = linear.backward(&dy, None);
                on.close(&format!("{what} backward"), &dx, &want, chain, units);
                want.iter_mut()
                    .zip(&before)
                    .for_each(|(w, b)| *w += f64::from(*b));
                let dx = linear.backward(&dy, Some(&before));
                on.close(&format!("{what} backward, added"), &dx, &want, chain, units);
            }
        }
    });
}

#[test]
fn int8_is_within_half_a_step_of_the_weight() {
    let cpus = [Cpu::new(1, Some(ComputeDtype::F32), Isa::Portable).expect("cpu")];
    everywhere!(cpus, |on: &dyn Frozen| {
        let (n, k) = (on.width(19, 8), on.width(70, 16));
        let w = on.seen(numbers(8, n * k, 0.3));
        let linear = on.pack(BaseQuantization::Int8, &w, n, None);
        let scale = linear.scales().expect("int8 has scales");
        for (i, (w, h)) in w.iter().zip(linear.held()).enumerate() {
            assert!(
                (w - h).abs() <= scale[i / k] * 0.5001,
                "{} weight {i}: {w} held as {h}",
                on.name()
            );
        }
    });
}

#[test]
fn a_row_of_zeros_stays_zero_in_int8() {
    everywhere!([Cpu::best().expect("cpu")], |on: &dyn Frozen| {
        let n = on.width(2, 8);
        let linear = on.pack(BaseQuantization::Int8, &vec![0.0; n * 32], n, None);
        assert_eq!(linear.held(), vec![0.0; n * 32]);
    });
}

#[test]
fn rows_are_batch_invariant() {
    let (m, k, n) = (77, 128, 96);
    let w = numbers(1, n * k, 0.2);
    let x = numbers(3, m * k, 1.0);
    for cpu in machines() {
        let linear = frozen(&cpu, BaseQuantization::Int8, &w, n, k, None);
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
    for cpu in machines()
        .iter()
        .filter(|c| c.compute() == ComputeDtype::F32)
    {
        let linear = frozen(cpu, BaseQuantization::Int8, &w, n, k, None);
        let mut y = vec![0.0; m * n];
        linear.forward(cpu, &rows(cpu, &x, k), &mut y, Mode::Assign);
        assert_eq!(first.get_or_insert_with(|| y.clone()), &y, "{}", cpu.isa());
    }
}
