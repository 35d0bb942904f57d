//! Gradients and optimizer steps for the whole bank, on a GPU.

use verdict_kernels::cuda::{Buffer, GpuError};
use verdict_kernels::{AdamW, BankPieces, BankRate, BankState, BaseQuantization};

use crate::bank::{AdapterBank, BankAdapter};
use crate::batch::{Example, ExampleLoss, Limits, Packed};
use crate::error::{Error, Result};
use crate::gpu::arena::Arena;
use crate::gpu::backward::Gradients;
use crate::gpu::bank::{GpuBank, Layout, layouts};
use crate::gpu::batch::GpuBatch;
use crate::gpu::forward::Run;
use crate::gpu::head::{SupervisedRows, head_rows};
use crate::gpu::load::GpuModel;
use crate::gpu::pass::{Keep, Pass, PassSize};
use crate::training_state::{AdapterState, Rate};

/// Weights, gradients and moments of a bank in device memory, laid out alike.
#[derive(Debug)]
pub(crate) struct GpuTrainer {
    adam: AdamW,
    bank: GpuBank,
    /// The host's layout of each adapter; its weights are not used.
    hosts: Vec<BankAdapter>,
    pieces: BankPieces,
    w: Buffer<f32>,
    g: Buffer<f32>,
    m: Buffer<f32>,
    v: Buffer<f32>,
    steps: Vec<u32>,
    /// Gradients that count as zero, whatever the memory holds: the next pass writes over them.
    zeroed: Vec<bool>,
}

impl GpuTrainer {
    pub(crate) fn new(model: &GpuModel, bank: &AdapterBank, adam: AdamW) -> Result<Self> {
        let gpu = model.gpu();
        gpu.enter()?;
        model.forget_bank();
        let (layouts, len) = layouts(&model.config, bank);
        let w = gpu.alloc(len)?;
        for (layout, adapter) in layouts.iter().zip(&bank.adapters) {
            gpu.write(
                &layout.pad(&model.config, adapter, &adapter.weights),
                w.part(layout.range.clone()),
            )?;
        }
        let weights = gpu.alloc(len)?;
        gpu.round_to_bf16(w.view(), weights.view())?;
        let sizes: Vec<usize> = layouts.iter().map(|l| l.range.len()).collect();
        Ok(Self {
            adam,
            pieces: BankPieces::new(gpu, &sizes)?,
            g: gpu.alloc(len)?,
            m: gpu.zeros(len)?,
            v: gpu.zeros(len)?,
            steps: vec![0; layouts.len()],
            zeroed: vec![true; layouts.len()],
            hosts: bank
                .adapters
                .iter()
                .map(BankAdapter::without_weights)
                .collect(),
            bank: GpuBank { layouts, weights },
            w,
        })
    }

    pub(crate) fn accumulate(
        &mut self,
        model: &GpuModel,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>> {
        let gpu = model.gpu();
        gpu.enter()?;
        let packed = Packed::new(Limits::of(&model.config), self.hosts.len(), examples)?;
        Limits::of(&model.config).check_tokens(probes, 0)?;
        if packed.rows() == 0 {
            return Ok(Vec::new());
        }
        let work = Work::new(model, &self.bank.layouts, &packed, probes, true)?;
        let mut arena = model.arena();
        let keep = match work.keep(model, &arena) {
            // The GPU may have less free memory than was computed.
            Keep::Everything => match work.reserve(model, &mut arena, Keep::Everything) {
                Err(Error::Gpu(GpuError::OutOfMemory { .. })) => Keep::Inputs,
                other => other.map(|()| Keep::Everything)?,
            },
            keep => keep,
        };
        let pass = work.pass(model, &mut arena, keep)?;
        let before = self.zeroed.clone();
        let add = self.gradients_for(model, &packed)?;
        let to = self.g.view();
        let run = Run::new(model, &self.bank, &work.batch);
        let done = run
            .forward(&pass)
            .and_then(|x| run.losses(&pass, &work.supervised, x))
            .and_then(|()| run.backward(&pass, Gradients { to, add }))
            .and_then(|()| work.supervised.collect(gpu, &packed, examples.len()));
        if done.is_err() {
            // Gradients that counted as zero before still do: part of a pass may have written over them.
            self.zeroed = before;
        }
        done
    }

    /// Whether this batch's gradients are to be added to what is there: not where all of its adapters'
    /// gradients count as zero. Where some do, those are made zero.
    fn gradients_for(&mut self, model: &GpuModel, packed: &Packed) -> Result<bool> {
        let adapters = || packed.groups.iter().map(|g| g.adapter);
        let mut sorted: Vec<usize> = adapters().collect();
        sorted.dedup();
        // One adapter in two groups: the second would write over the first.
        let once = sorted.len() == packed.groups.len();
        let add = !once || adapters().any(|a| !self.zeroed[a]);
        for adapter in sorted {
            if add && self.zeroed[adapter] {
                model
                    .gpu()
                    .clear(self.g.part(self.bank.layouts[adapter].range.clone()))?;
            }
            self.zeroed[adapter] = false;
        }
        Ok(add)
    }

    pub(crate) fn evaluate(
        &self,
        model: &GpuModel,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>> {
        model.evaluate_with(&self.bank, examples, probes)
    }

    pub(crate) fn step(&mut self, model: &GpuModel, rates: &[Rate]) -> Result<Vec<f32>> {
        let gpu = model.gpu();
        gpu.enter()?;
        let mut bank_rates = vec![BankRate::NONE; self.hosts.len()];
        let mut named = vec![false; self.hosts.len()];
        for rate in rates {
            let adapter = rate.adapter;
            if std::mem::replace(&mut named[adapter], true) {
                return Err(Error::Batch(format!(
                    "adapter {adapter}: two rates in one step"
                )));
            }
            if self.zeroed[adapter] {
                gpu.clear(self.g.part(self.bank.layouts[adapter].range.clone()))?;
            }
            let step = self.steps[adapter] + 1;
            bank_rates[adapter] = BankRate::new(&self.adam, step, rate.lr, rate.clip);
        }
        let state = BankState {
            w: self.w.view(),
            g: self.g.view(),
            m: self.m.view(),
            v: self.v.view(),
            rounded: self.bank.weights.view(),
        };
        let norms = gpu.adamw_step(&self.adam, &self.pieces, &bank_rates, state)?;
        for rate in rates {
            self.steps[rate.adapter] += 1;
            self.zeroed[rate.adapter] = true;
        }
        Ok(rates.iter().map(|r| norms[r.adapter]).collect())
    }

    /// Weights, moments and steps as the host keeps them.
    pub(crate) fn state(&self, model: &GpuModel, adapter: usize) -> Result<AdapterState> {
        Ok(AdapterState {
            steps: self.steps[adapter],
            weights: self.numbers(model, adapter, &self.w)?,
            m: self.numbers(model, adapter, &self.m)?,
            v: self.numbers(model, adapter, &self.v)?,
        })
    }

    /// The lengths were checked. What pads a rank has no gradient, so its moments are zero.
    pub(crate) fn restore(
        &mut self,
        model: &GpuModel,
        adapter: usize,
        state: &AdapterState,
    ) -> Result<()> {
        let gpu = model.gpu();
        gpu.enter()?;
        let (layout, host) = (&self.bank.layouts[adapter], &self.hosts[adapter]);
        let rows = [
            (&self.w, &state.weights),
            (&self.m, &state.m),
            (&self.v, &state.v),
        ];
        for (buffer, values) in rows {
            let part = buffer.part(layout.range.clone());
            match values.as_slice() {
                [] => gpu.clear(part)?,
                values => gpu.write(&layout.pad(&model.config, host, values), part)?,
            }
        }
        gpu.round_to_bf16(
            self.w.part(layout.range.clone()),
            self.bank.weights.part(layout.range.clone()),
        )?;
        self.steps[adapter] = state.steps;
        self.zeroed[adapter] = true;
        Ok(())
    }

    /// An adapter's weights as the host keeps them.
    pub(crate) fn weights(&self, model: &GpuModel, adapter: usize) -> Result<Vec<f32>> {
        self.numbers(model, adapter, &self.w)
    }

    /// Its gradient.
    pub(crate) fn gradient(&self, model: &GpuModel, adapter: usize) -> Result<Vec<f32>> {
        match self.zeroed[adapter] {
            true => Ok(vec![0.0; self.hosts[adapter].len()]),
            false => self.numbers(model, adapter, &self.g),
        }
    }

    fn numbers(&self, model: &GpuModel, adapter: usize, from: &Buffer<f32>) -> Result<Vec<f32>> {
        model.gpu().enter()?;
        let layout = &self.bank.layouts[adapter];
        let values = model.gpu().download(from.part(layout.range.clone()))?;
        Ok(layout.unpad(&model.config, &self.hosts[adapter], &values))
    }
}

/// A batch in device memory, and the size of its pass.
struct Work {
    batch: GpuBatch,
    supervised: SupervisedRows,
    head_rows: usize,
    fp8: bool,
}

impl Work {
    fn new(
        model: &GpuModel,
        layouts: &[Layout],
        packed: &Packed,
        probes: &[u32],
        training: bool,
    ) -> Result<Self> {
        let (gpu, c) = (model.gpu(), &model.config);
        Ok(Self {
            batch: GpuBatch::new(gpu, c, layouts, packed, training)?,
            supervised: SupervisedRows::new(gpu, packed, probes)?,
            head_rows: head_rows(c.vocab_size, packed.rows(), packed.supervised.len()),
            fp8: model.base == BaseQuantization::Fp8,
        })
    }

    fn size(&self, keep: Keep) -> PassSize {
        PassSize {
            rows: self.batch.rows,
            head_rows: self.head_rows,
            narrow: self.batch.narrow(),
            keep,
            fp8: self.fp8,
        }
    }

    /// Everything that backward needs, or only the blocks' inputs where that does not fit.
    fn keep(&self, model: &GpuModel, arena: &Arena) -> Keep {
        let gpu = model.gpu();
        let room = gpu.limit_bytes().saturating_sub(gpu.held_bytes()) + arena.bytes();
        match Pass::bytes(&model.config, self.size(Keep::Everything)) <= room {
            true => Keep::Everything,
            false => Keep::Inputs,
        }
    }

    /// Makes sure that the arena has room.
    fn reserve(&self, model: &GpuModel, arena: &mut Arena, keep: Keep) -> Result<()> {
        let bytes = Pass::bytes(&model.config, self.size(keep));
        arena.ensure(model.gpu(), bytes).map(|_| ())
    }

    fn pass<'a>(&self, model: &GpuModel, arena: &'a mut Arena, keep: Keep) -> Result<Pass<'a>> {
        Pass::within(arena, model.gpu(), &model.config, self.size(keep))
    }
}

impl GpuModel {
    pub(crate) fn evaluate(
        &self,
        bank: &AdapterBank,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>> {
        self.gpu().enter()?;
        // The bare model needs none of the adapters.
        let none = AdapterBank::empty();
        let bare = examples.iter().all(|e| e.adapter.is_none());
        let bank = self.uploaded(if bare { &none } else { bank })?;
        self.evaluate_with(&bank, examples, probes)
    }

    fn evaluate_with(
        &self,
        bank: &GpuBank,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>> {
        let gpu = self.gpu();
        gpu.enter()?;
        let packed = Packed::new(Limits::of(&self.config), bank.layouts.len(), examples)?;
        Limits::of(&self.config).check_tokens(probes, 0)?;
        if packed.rows() == 0 {
            return Ok(Vec::new());
        }
        let work = Work::new(self, &bank.layouts, &packed, probes, false)?;
        let mut arena = self.arena();
        let pass = work.pass(self, &mut arena, Keep::Nothing)?;
        let run = Run::new(self, bank, &work.batch);
        let x = run.forward(&pass)?;
        run.losses(&pass, &work.supervised, x)?;
        work.supervised.collect(gpu, &packed, examples.len())
    }
}
