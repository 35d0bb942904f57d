//! AdamW against the paper's formula in f64.

use verdict_testkit::{BF16_UNIT, F32_UNIT, assert_close, numbers, wide};

use crate::adamw::{
    AdamW, AdamWState, AdamWStep, BankPieces, BankRate, BankState, adamw_step, clip_factor,
    reference, sum_of_squares,
};
use crate::cpu::Cpu;
use crate::cuda::Gpu;
use crate::cuda::testing::{
    Machine, Output, POISON, WORKS, bits, cpus, everywhere, gpu, shapes, upload,
};

/// One adapter of a bank.
struct Adapter {
    weights: usize,
    /// None: it does not step.
    lr: Option<f32>,
    /// Largest norm of its gradients.
    clip: f32,
}

trait Optimizer: Machine {
    /// As many steps as there are gradients, on weights of adapters that lie one after the other. Returns
    /// the adapters' norms at each step.
    fn train(
        &self,
        adam: &AdamW,
        bank: &[Adapter],
        gradients: &[Vec<f32>],
        w: &mut [f32],
    ) -> Vec<Vec<f32>>;
}

impl Optimizer for Cpu {
    fn train(
        &self,
        adam: &AdamW,
        bank: &[Adapter],
        gradients: &[Vec<f32>],
        w: &mut [f32],
    ) -> Vec<Vec<f32>> {
        let (mut m, mut v) = (vec![0.0; w.len()], vec![0.0; w.len()]);
        let step = |(i, g): (usize, &Vec<f32>)| {
            let (mut g, mut end) = (g.clone(), 0);
            let one = |a: &Adapter| {
                end += a.weights;
                let own = end - a.weights..end;
                let norm = sum_of_squares(self, &g[own.clone()]).sqrt() as f32;
                let Some(lr) = a.lr else { return norm };
                let step = AdamWStep {
                    number: i as u32 + 1,
                    lr,
                    factor: clip_factor(norm, a.clip),
                };
                let state = AdamWState {
                    w: &mut w[own.clone()],
                    g: &mut g[own.clone()],
                    m: &mut m[own.clone()],
                    v: &mut v[own.clone()],
                };
                adamw_step(self, adam, step, state);
                assert!(g[own].iter().all(|g| *g == 0.0), "gradients are used up");
                norm
            };
            bank.iter().map(one).collect()
        };
        gradients.iter().enumerate().map(step).collect()
    }
}

impl Optimizer for Gpu {
    fn train(
        &self,
        adam: &AdamW,
        bank: &[Adapter],
        gradients: &[Vec<f32>],
        w: &mut [f32],
    ) -> Vec<Vec<f32>> {
        let n = w.len();
        let weights: Vec<usize> = bank.iter().map(|a| a.weights).collect();
        let pieces = BankPieces::new(self, &weights).expect(WORKS);
        let zeros = vec![0.0_f32; n];
        let on_gpu = Output::holding(self, w);
        let [m, v] = [0, 1].map(|_| Output::holding(self, &zeros));
        let narrow = Output::new(self, n);
        let step = |(i, g): (usize, &Vec<f32>)| {
            let step = i as u32 + 1;
            let rate = |a: &Adapter| match a.lr {
                Some(lr) => BankRate::new(adam, step, lr, a.clip),
                None => BankRate::NONE,
            };
            let rates: Vec<BankRate> = bank.iter().map(rate).collect();
            let g = upload(self, g);
            let on_gpu = BankState {
                w: on_gpu.view(),
                g: g.view(),
                m: m.view(),
                v: v.view(),
                rounded: narrow.view(),
            };
            self.adamw_step(adam, &pieces, &rates, on_gpu).expect(WORKS)
        };
        let norms = gradients.iter().enumerate().map(step).collect();
        w.copy_from_slice(&on_gpu.read(self));
        let (m, v, narrow) = (m.read(self), v.read(self), narrow.read(self));
        let mut end = 0;
        for a in bank {
            end += a.weights;
            let own = end - a.weights..end;
            let narrow = &narrow[own.clone()];
            if a.lr.is_some() {
                assert_eq!(narrow, bits(&w[own]), "weights in bf16");
            } else {
                assert!(narrow.iter().all(|b| *b == POISON), "no step, no rounding");
                let mut moments = m[own.clone()].iter().chain(&v[own]);
                assert!(moments.all(|m| *m == 0.0), "no step, no moments");
            }
        }
        norms
    }
}

#[test]
fn ten_steps() {
    let adam = AdamW {
        weight_decay: 0.1,
        ..AdamW::default()
    };
    // Pieces of both machines end within an adapter; one that stays, one whose gradients are not clipped.
    let all = [[16_400, 24, 40], [70_001, 999, 32_768]];
    everywhere!(cpus(), |on: &dyn Optimizer| {
        for weights in shapes(&all, 1) {
            let [a, b, c] = weights.map(|n| on.width(n, 8));
            let adapter = |weights, lr, clip| Adapter { weights, lr, clip };
            let bank = [
                adapter(a, Some(0.01), 5.0),
                adapter(b, None, 1.0),
                adapter(c, Some(0.003), f32::INFINITY),
            ];
            let n = a + b + c;
            let mut w = numbers(1, n, 1.0);
            let before = w.clone();
            let gradients: Vec<_> = (0..10).map(|s| numbers(100 + s, n, 0.3)).collect();
            let norms = on.train(&adam, &bank, &gradients, &mut w);

            let mut first = 0;
            for (i, adapter) in bank.iter().enumerate() {
                let own = first..first + adapter.weights;
                first = own.end;
                let squares = |g: &Vec<f32>| -> f64 {
                    g[own.clone()].iter().map(|g| f64::from(*g).powi(2)).sum()
                };
                let want: Vec<f64> = gradients.iter().map(|g| squares(g).sqrt()).collect();
                let got: Vec<f32> = norms.iter().map(|n| n[i]).collect();
                let what = format!("{} adapter {i} of {weights:?}", on.name());
                assert_close(&format!("{what} norms"), &got, &want, 4.0, F32_UNIT);
                let Some(lr) = adapter.lr else {
                    assert_eq!(w[own.clone()], before[own], "{what} has no rate");
                    continue;
                };
                let mut state: Vec<_> = wide(&before[own.clone()])
                    .into_iter()
                    .map(|w| (w, 0.0, 0.0))
                    .collect();
                for (step, (g, norm)) in gradients.iter().zip(&want).enumerate() {
                    let factor = (f64::from(adapter.clip) / (norm + 1e-6)).min(1.0);
                    for (s, g) in state.iter_mut().zip(&g[own.clone()]) {
                        *s = reference::step(
                            (s.0, f64::from(*g) * factor, s.1, s.2),
                            step as i32 + 1,
                            f64::from(lr),
                            (f64::from(adam.beta1), f64::from(adam.beta2)),
                            1e-8,
                            f64::from(adam.weight_decay),
                        );
                    }
                }
                let want: Vec<f64> = state.iter().map(|s| s.0).collect();
                assert_close(&format!("{what} weights"), &w[own], &want, 64.0, F32_UNIT);
            }
        }
    });
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

#[test]
fn a_gpu_rounds_to_nearest_even() {
    let Some(gpu) = gpu() else {
        return;
    };
    for n in [8, 24, 2048, 2056] {
        // Beside numbers of all sizes: halfway cases, which go to the even neighbour.
        let mut values = numbers(1, n, 3.0);
        let half = BF16_UNIT as f32;
        values[..4].copy_from_slice(&[1.0 + half, 1.0 + 3.0 * half, 0.0, -1e-30]);
        let to = Output::new(gpu, n);
        gpu.round_to_bf16(upload(gpu, &values).view(), to.view())
            .expect(WORKS);
        assert_eq!(to.read(gpu), bits(&values));
    }
}
