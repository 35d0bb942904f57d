//! Adapters in device memory: one run of bf16 weights, every rank padded with zeros to a multiple of 16.
//!
//! Of an adapter the layers lie one after the other; of a layer the sites; of a site the stacked A of its
//! parts, then each part's B, transposed. Padding stays zero: what flows through it is zero both ways.

use std::ops::Range;

use verdict_formats::ModelConfig;
use verdict_kernels::cuda::{Buffer, Gpu};

use crate::bank::{AdapterBank, BankAdapter};
use crate::error::Result;
use crate::site::Site;

/// Where one adapter's matrices are, and what its products need.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) rank: usize,
    /// The rank, padded.
    pub(crate) padded: usize,
    /// α/r.
    pub(crate) scale: f32,
    pub(crate) dropout: f32,
    pub(crate) seed: u64,
    /// Its weights in the bank.
    pub(crate) range: Range<usize>,
    /// Numbers from a layer to the next.
    pub(crate) layer_stride: usize,
    /// Of layer 0, in the bank.
    pub(crate) sites: [SiteOffsets; 4],
}

/// Where a site's matrices begin.
#[derive(Clone, Debug, Default)]
pub(crate) struct SiteOffsets {
    /// `[parts · padded, in]`
    pub(crate) a: usize,
    /// Each `[padded, out]`.
    pub(crate) b: Vec<usize>,
}

/// Adapters ready to be multiplied with.
#[derive(Debug)]
pub(crate) struct GpuBank {
    pub(crate) layouts: Vec<Layout>,
    /// bf16.
    pub(crate) weights: Buffer<u16>,
}

/// Layouts of a bank's adapters, and how many numbers they take in all.
pub(crate) fn layouts(c: &ModelConfig, bank: &AdapterBank) -> (Vec<Layout>, usize) {
    let mut at = 0;
    let layout = |adapter: &BankAdapter| {
        let start = at;
        let padded = adapter.spec.rank.next_multiple_of(16);
        let mut take = |len: usize| {
            at += len;
            at - len
        };
        let sites = Site::ALL.map(|site| {
            let parts = site.parts(c);
            let a = take(parts.len() * padded * site.inputs(c));
            SiteOffsets {
                a,
                b: parts.iter().map(|(_, n)| take(padded * n)).collect(),
            }
        });
        let layer_stride = at - start;
        at = start + layer_stride * c.num_hidden_layers;
        Layout {
            rank: adapter.spec.rank,
            padded,
            scale: adapter.scale,
            dropout: adapter.spec.dropout,
            seed: adapter.spec.seed,
            range: start..at,
            layer_stride,
            sites,
        }
    };
    let layouts = bank.adapters.iter().map(layout).collect();
    (layouts, at)
}

impl Layout {
    /// Calls `each(host range, device range)` for every run of numbers that host and device share; device
    /// ranges count from this adapter's beginning.
    fn runs(
        &self,
        c: &ModelConfig,
        adapter: &BankAdapter,
        mut each: impl FnMut(Range<usize>, Range<usize>),
    ) {
        for layer in 0..c.num_hidden_layers {
            for site in Site::ALL {
                let host = adapter.site(layer, site);
                let place = &self.sites[site as usize];
                let device = |at: usize| at - self.range.start + layer * self.layer_stride;
                let parts = site.parts(c);
                let rows = self.rank * site.inputs(c);
                for i in 0..parts.len() {
                    let from = host.a.start + i * rows;
                    let to = device(place.a) + i * self.padded * site.inputs(c);
                    each(from..from + rows, to..to + rows);
                    let (from, to) = (host.b[i].clone(), device(place.b[i]));
                    let len = from.len();
                    each(from, to..to + len);
                }
            }
        }
    }

    /// The host's numbers as the device keeps them.
    pub(crate) fn pad(&self, c: &ModelConfig, adapter: &BankAdapter, values: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; self.range.len()];
        self.runs(c, adapter, |host, device| {
            out[device].copy_from_slice(&values[host])
        });
        out
    }

    /// The device's numbers as the host keeps them.
    pub(crate) fn unpad(&self, c: &ModelConfig, adapter: &BankAdapter, values: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; adapter.len()];
        self.runs(c, adapter, |host, device| {
            out[host].copy_from_slice(&values[device])
        });
        out
    }
}

impl GpuBank {
    /// Rounds a bank's weights to bf16 in device memory.
    pub(crate) fn upload(gpu: &Gpu, c: &ModelConfig, bank: &AdapterBank) -> Result<Self> {
        let (layouts, len) = layouts(c, bank);
        let weights = gpu.alloc(len)?;
        for (layout, adapter) in layouts.iter().zip(&bank.adapters) {
            let wide = gpu.upload(&layout.pad(c, adapter, &adapter.weights))?;
            gpu.round_to_bf16(wide.view(), weights.part(layout.range.clone()))?;
        }
        Ok(Self { layouts, weights })
    }
}
