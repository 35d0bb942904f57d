//! What GPUs alone do with frozen weights: products of a few rows, rows of tokens, and unpacking ahead.

use verdict_testkit::{F32_UNIT, assert_close, numbers, wide};

use super::{bytes_and_scales, pack};
use crate::cuda::Gpu;
use crate::cuda::testing::{
    Machine, Output, WORKS, bits, gpu, rounded, rows as on_gpu, shapes, upload, widened,
};
use crate::linear::{GpuLinear, Out, SKINNY_ROWS, Scratch, Skinny, SkinnyOut, Unpacker, reference};
use crate::number_formats::BaseQuantization;

/// A matrix and rows for products of few rows, and their plain sums of all [`SKINNY_ROWS`].
struct Few {
    n: usize,
    k: usize,
    x: Vec<f32>,
    norm: Vec<f32>,
    bias: Vec<f32>,
    add: Vec<f32>,
    /// Without and with the norm.
    sums: [Vec<f64>; 2],
}

const NORM_EPS: f32 = 1e-5;

impl Few {
    fn new(gpu: &Gpu, linear: &GpuLinear, bias: Vec<f32>) -> Self {
        let (m, n, k) = (SKINNY_ROWS, linear.outputs(), linear.inputs());
        let w = match linear.bf16_rows() {
            Some(w) => widened(&gpu.download(w).expect(WORKS)),
            None => bytes_and_scales(gpu, linear).expect("int8").0,
        };
        let (x, norm) = (gpu.seen(numbers(3, m * k, 1.0)), numbers(4, k, 1.5));
        // x · norm is rounded to bf16 before the product, the row's factor is not.
        let weighted: Vec<f32> = (0..m * k).map(|i| x[i] * norm[i % k]).collect();
        let mut normed = reference::times_transposed(&rounded(&weighted), &w, m, k, n);
        for (row, y) in normed.chunks_exact_mut(n).enumerate() {
            let squares = wide(&x[row * k..][..k]).iter().map(|x| x * x).sum::<f64>();
            let rms = (squares / k as f64 + f64::from(NORM_EPS)).sqrt();
            y.iter_mut().for_each(|y| *y /= rms);
        }
        Self {
            sums: [reference::times_transposed(&x, &w, m, k, n), normed],
            add: gpu.seen(numbers(5, m * n, 1.0)),
            n,
            k,
            x,
            norm,
            bias,
        }
    }

    /// `[SKINNY_ROWS, n]`
    fn wanted(&self, normed: bool, added: bool) -> Vec<f64> {
        let with = |(i, sum): (usize, &f64)| {
            let bias = self.bias.get(i % self.n).copied().unwrap_or(0.0);
            let add = if added { self.add[i] } else { 0.0 };
            sum + f64::from(bias) + f64::from(add)
        };
        let sums = self.sums[usize::from(normed)].iter();
        sums.enumerate().map(with).collect()
    }
}

fn silu(gate: f64) -> f64 {
    gate / (1.0 + (-gate).exp())
}

/// One shape on some numbers of rows, in every form.
fn check_few(gpu: &Gpu, base: BaseQuantization, n: usize, k: usize, counts: &[usize]) {
    for biased in [false, true] {
        let bias = numbers(2, if biased { n } else { 0 }, 0.5);
        let w = gpu.seen(numbers(1, n * k, 0.2));
        let linear = pack(gpu, base, &w, n, biased.then_some(&bias));
        let few = Few::new(gpu, &linear, bias);
        let norm = upload(gpu, &few.norm);
        // All rows first: the others must have the same bits.
        let mut first: [Vec<Vec<f32>>; 2] = [Vec::new(), Vec::new()];
        for &m in std::iter::once(&SKINNY_ROWS).chain(counts) {
            let x = on_gpu(gpu, &few.x[..m * few.k]);
            for normed in [false, true] {
                let what = format!("{base:?} {m}x{k}x{n}, norm {normed}, bias {biased}");
                let mut results = Vec::new();
                let run = |add, out| {
                    let s = Skinny {
                        x: x.view(),
                        rows: m,
                        norm: normed.then(|| (norm.view(), NORM_EPS)),
                        add,
                        out,
                    };
                    gpu.skinny(&linear, s).expect(WORKS);
                };

                let plain = few.wanted(normed, false);
                let to = Output::new(gpu, m * n);
                run(None, SkinnyOut::F32(to.view()));
                let got = to.read(gpu);
                // Matrix instructions cut off where they add: some units more than rounding costs.
                let what_f32 = format!("{what}, f32");
                assert_close(&what_f32, &got, &plain[..m * n], 64.0, F32_UNIT);
                results.push(got);

                let to = Output::new(gpu, m * n);
                run(None, SkinnyOut::Bf16(to.view()));
                results.push(to.wide(gpu));
                gpu.close(&what, &results[1], &plain[..m * n], 0.0, 1.1);

                let want = few.wanted(normed, true);
                let own = Output::holding(gpu, &bits(&few.add[..m * n]));
                run(Some(own.view()), SkinnyOut::Bf16(own.view()));
                results.push(own.wide(gpu));
                let what_added = format!("{what}, added");
                gpu.close(&what_added, &results[2], &want[..m * n], 0.0, 1.1);

                if n.is_multiple_of(16) {
                    let halves = plain[..m * n].chunks_exact(n);
                    let want = halves.flat_map(|row| {
                        let (gate, up) = row.split_at(n / 2);
                        gate.iter().zip(up).map(|(g, u)| silu(*g) * u)
                    });
                    let to = Output::new(gpu, m * n / 2);
                    run(None, SkinnyOut::Swiglu(to.view()));
                    results.push(to.wide(gpu));
                    // Gate and up are rounded, then what is made of them.
                    let what = format!("{what}, swiglu");
                    let want: Vec<f64> = want.collect();
                    gpu.close(&what, &results[3], &want, 0.0, 3.5);
                }
                let first = &mut first[usize::from(normed)];
                if first.is_empty() {
                    *first = results;
                } else {
                    for (got, all) in results.iter().zip(first) {
                        assert_eq!(*got, all[..got.len()], "{what}: rows beside others");
                    }
                }
            }
        }
    }
}

#[test]
fn products_of_few_rows() {
    let Some(gpu) = gpu() else {
        return;
    };
    let all = [
        (64, 96, vec![1, 17]),
        (24, 64, vec![1, 7, 8, 9, 16, 17, 32, 33, 40, 41]),
        (104, 576, vec![1, 17, 33, 41]),
        (96, 2048, vec![1, 2, 17, 64]),
        (48, 1200, vec![5]),
        // Blocks that take several tiles, on a GPU of 132 multiprocessors.
        (4640, 64, vec![1, 17, 41]),
    ];
    for base in [BaseQuantization::Bf16, BaseQuantization::Int8] {
        for (n, k, counts) in shapes(&all, 2) {
            check_few(gpu, base, *n, *k, counts);
        }
    }
}

#[test]
fn rows_of_tokens_are_copied() {
    let Some(gpu) = gpu() else {
        return;
    };
    for h in [8, 576, 2056] {
        let table: Vec<u16> = (0..50 * h).map(|i| i as u16).collect();
        for count in [1, 17, 65] {
            let tokens: Vec<u32> = (0..count).map(|i| i * 7 % 50).collect();
            let x = Output::new(gpu, tokens.len() * h);
            let (of_rows, from) = (upload(gpu, &tokens), upload(gpu, &table));
            gpu.embed_rows(of_rows.view(), from.view(), h, x.view())
                .expect(WORKS);
            let want = tokens.iter().flat_map(|t| &table[*t as usize * h..][..h]);
            assert_eq!(x.read(gpu), want.copied().collect::<Vec<_>>());
        }
    }
}

#[test]
fn weights_are_unpacked_ahead_of_their_product() {
    let Some(gpu) = gpu() else {
        return;
    };
    let m = 17;
    let sizes = [(96, 64), (64, 96), (200, 160), (48, 512), (576, 96)];
    let linears = sizes.map(|(n, k)| {
        let w = gpu.seen(numbers(n as u64, n * k, 0.2));
        pack(gpu, BaseQuantization::Int8, &w, n, None)
    });
    let inputs = sizes.map(|(_, k)| gpu.seen(numbers(k as u64, m * k, 1.0)));
    // Each buffer holds what comes in its turn, and no more.
    let unpacked = [0, 1].map(|turn| {
        let sizes = linears.iter().skip(turn).step_by(2).map(GpuLinear::scratch);
        sizes.max().unwrap_or(0)
    });
    let unpacker = Unpacker::new(gpu, unpacked).expect(WORKS);
    // Forward and backward over them, as training goes, but with products in another order than announced.
    let order = [0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 2, 0, 4, 1, 1, 3, 0];
    let announced = [2, 3, 4, 4, 3, 2, 1, 0, 2, 0, 4, 1, 1, 3, 0, 0, 0];
    let mut outputs = Vec::new();
    for (i, next) in order.iter().zip(announced) {
        let (n, _) = sizes[*i];
        let (x, to) = (on_gpu(gpu, &inputs[*i]), Output::new(gpu, m * n));
        let scratch = Scratch {
            unpacker: &unpacker,
            slot: i % 2,
            ahead: (*i != 2).then_some(&linears[next]),
            input: None,
        };
        let out = Out {
            add: None,
            to: to.view(),
        };
        gpu.linear_forward(&linears[*i], x.view(), m, out, scratch)
            .expect(WORKS);
        outputs.push(to);
    }
    for (i, to) in order.iter().zip(&outputs) {
        let (n, k) = sizes[*i];
        let (w, _) = bytes_and_scales(gpu, &linears[*i]).expect("int8");
        let want = reference::times_transposed(&inputs[*i], &rounded(&w), m, k, n);
        gpu.close(&format!("matrix {i}"), &to.wide(gpu), &want, 0.0, 1.1);
    }
}
