//! A checkpoint becomes a frozen model on a GPU.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard};

use verdict_formats::{Checkpoint, ModelConfig};
use verdict_kernels::cuda::{Buffer, Gpu, GpuError, Staging, View};
use verdict_kernels::{
    AttentionShape, BaseQuantization, ComputeDtype, GpuLinear, HeadTransform, Unpacker,
};

use crate::bank::AdapterBank;
use crate::batch::Limits;
use crate::error::{Error, Result};
use crate::gpu::arena::Arena;
use crate::gpu::bank::GpuBank;
use crate::layer::Layer;
use crate::options::LoadOptions;
use crate::site::Site;
use crate::weights::{Parts, Reader, rope_table};

/// A frozen decoder on a GPU.
#[derive(Debug)]
pub(crate) struct GpuModel {
    gpu: Gpu,
    pub(crate) base: BaseQuantization,
    /// Where int8 and nf4 weights become bf16, one matrix at a time. Declared before the weights: when dropped, it
    /// waits for the stream that reads them.
    pub(crate) unpacker: Unpacker,
    pub(crate) config: ModelConfig,
    /// `[V, H]` bf16, where the head does not hold it too.
    embedding: Option<GpuLinear>,
    pub(crate) layers: Vec<Layer<Buffer<f32>, GpuLinear>>,
    pub(crate) final_norm: Buffer<f32>,
    /// Kept in bf16: its product is one of a batch's largest, and the one that loses most by rounding.
    pub(crate) head: GpuLinear,
    pub(crate) rope: Buffer<f32>,
    arena: Mutex<Arena>,
    /// The bank that was used last, by its version.
    bank: Mutex<Option<(u64, Arc<GpuBank>)>>,
}

/// Weights that are read, rounded and sent at a time.
const STAGED: usize = 1 << 23;

impl GpuModel {
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        ordinal: usize,
        options: LoadOptions,
    ) -> Result<Self> {
        let config = checkpoint.config.clone();
        check(&config, options)?;
        let gpu = Gpu::open(ordinal, options.memory_bytes.map(|b| b as usize))?;
        gpu.enter()?;
        if options.base == BaseQuantization::Fp8 && gpu.compute_capability() != (9, 0) {
            let (major, minor) = gpu.compute_capability();
            return Err(Error::Gpu(GpuError::Missing(format!(
                "base fp8 needs a GPU of compute capability 9.0 (Hopper), found {major}.{minor} ({})",
                gpu.name()
            ))));
        }
        prepare(&gpu, &config, options.base);
        let reader = Reader { checkpoint };
        let hidden = config.hidden_size;
        let staging = RefCell::new(Staging::new(&gpu, STAGED)?);
        let linear = |base: BaseQuantization, parts: &Parts, k: usize, bias: Option<Vec<f32>>| {
            let n = parts.iter().map(|(_, n)| n).sum();
            GpuLinear::pack(
                &mut staging.borrow_mut(),
                base,
                n,
                k,
                bias.as_deref(),
                |rows, out: &mut [f32]| reader.stacked(parts, k, rows, out),
            )
        };
        let matrix = |parts: &Parts, k: usize, bias| linear(options.base, parts, k, bias);
        let upload = |values: Vec<f32>| -> Result<Buffer<f32>> { Ok(gpu.upload(&values)?) };
        let layers = (0..config.num_hidden_layers)
            .map(|index| Layer::read(reader, index, upload, matrix))
            .collect::<Result<Vec<_>>>()?;
        let embedding = linear(BaseQuantization::Bf16, &reader.embedding(), hidden, None)?;
        let (embedding, head) = match config.tie_word_embeddings {
            true => (None, embedding),
            false => (
                Some(embedding),
                linear(BaseQuantization::Bf16, &reader.head(), hidden, None)?,
            ),
        };
        // Sites take turns, as their products do.
        let unpacked = [0, 1].map(|turn| {
            let sites = Site::ALL.into_iter().filter(|s| *s as usize % 2 == turn);
            let sizes = sites.flat_map(|s| layers.iter().map(move |l| l.linear(s).scratch()));
            sizes.max().unwrap_or(0)
        });
        let positions = Limits::of(&config).positions;
        let table = rope_table(&config, positions);
        Ok(Self {
            final_norm: upload(reader.vector("model.norm.weight", hidden)?)?,
            rope: table.upload(&gpu)?,
            unpacker: Unpacker::new(&gpu, unpacked)?,
            arena: Mutex::default(),
            bank: Mutex::default(),
            base: options.base,
            embedding,
            layers,
            head,
            config,
            gpu,
        })
    }

    pub(crate) fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    pub(crate) fn weight_bytes(&self) -> usize {
        let layer =
            |l: &Layer<_, GpuLinear>| Site::ALL.map(|s| l.linear(s).bytes()).iter().sum::<usize>();
        self.layers.iter().map(layer).sum::<usize>()
            + self.head.bytes()
            + self.embedding.as_ref().map_or(0, GpuLinear::bytes)
    }

    /// The memory of passes, for one of them at a time.
    pub(crate) fn arena(&self) -> MutexGuard<'_, Arena> {
        self.arena.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The frozen matrix that is multiplied with two places after this one, forward or backward. After the
    /// last of a forward pass come, where `turns`, the first of the backward pass; after that the next
    /// forward pass.
    pub(crate) fn ahead(
        &self,
        layer: usize,
        site: Site,
        backward: bool,
        turns: bool,
    ) -> &GpuLinear {
        let count = 4 * self.layers.len();
        let forward = 4 * layer + site as usize;
        let place = if backward {
            2 * count - 1 - forward
        } else {
            forward
        } + 2;
        let (whole, place) = (if turns { 2 * count } else { count }, place);
        let place = place % whole;
        let forward = if place < count {
            place
        } else {
            2 * count - 1 - place
        };
        self.layers[forward / 4].linear(Site::ALL[forward % 4])
    }

    pub(crate) fn shape(&self) -> AttentionShape {
        AttentionShape {
            heads: self.config.num_attention_heads,
            kv_heads: self.config.num_key_value_heads,
            head_dim: self.config.head_dim,
        }
    }

    /// The token embedding `[V, H]`.
    pub(crate) fn embedding(&self) -> View<'_, u16> {
        let table = self.embedding.as_ref().unwrap_or(&self.head);
        table
            .bf16_rows()
            .unwrap_or_else(|| unreachable!("embeddings are bf16"))
    }

    /// How a layer's heads are normed and rotated.
    pub(crate) fn heads<'a>(
        &'a self,
        layer: usize,
        positions: View<'a, u32>,
        rows: usize,
    ) -> HeadTransform<'a> {
        let norms = self.layers[layer].qk_norm.as_ref();
        HeadTransform {
            shape: self.shape(),
            table: self.rope.view(),
            norms: norms.map(|(q, k)| (q.view(), k.view())),
            eps: self.config.rms_norm_eps,
            positions,
            rows,
        }
    }

    /// Gives the memory of the last bank back.
    pub(crate) fn forget_bank(&self) {
        *self.bank.lock().unwrap_or_else(|e| e.into_inner()) = None;
    }

    /// A bank in device memory; the last one stays there.
    pub(crate) fn uploaded(&self, bank: &AdapterBank) -> Result<Arc<GpuBank>> {
        let mut last = self.bank.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((version, bank_there)) = &*last
            && *version == bank.version()
        {
            return Ok(Arc::clone(bank_there));
        }
        *last = None;
        let uploaded = Arc::new(GpuBank::upload(&self.gpu, &self.config, bank)?);
        *last = Some((bank.version(), Arc::clone(&uploaded)));
        Ok(uploaded)
    }
}

/// Kernels of every pass are compiled while the weights are read.
fn prepare(gpu: &Gpu, c: &ModelConfig, base: BaseQuantization) {
    let attention = format!(
        "attention_forward_{}",
        AttentionShape::padded_head(c.head_dim)
    );
    gpu.prepare(&PASS_KERNELS);
    gpu.prepare(&[&attention]);
    match base {
        BaseQuantization::Fp8 => gpu.prepare(&["quantise_fp8"]),
        BaseQuantization::Nf4 => gpu.prepare(&["quantise_nf4"]),
        BaseQuantization::F32 | BaseQuantization::Bf16 | BaseQuantization::Int8 => {}
    }
}

/// One kernel of each source that a training pass needs, except attention's and those of some base-model quantizations.
const PASS_KERNELS: [&str; 10] = [
    "quantise_rows",
    "rms_norm_",
    "lora_down_",
    "lora_up_",
    "lora_gradient_",
    "norm_and_rotate",
    "dropout_scale",
    "swiglu_forward",
    "cross_entropy",
    "adamw",
];

/// What the GPU engine cannot do, said before anything is loaded.
fn check(c: &ModelConfig, options: LoadOptions) -> Result<()> {
    let refuse = |text: String| Err(Error::Machine(text));
    let shape = |text: String| refuse(format!("on a GPU: {text}; --device cpu has no such limit"));
    if options.compute == Some(ComputeDtype::F32) {
        return refuse("f32 products need a CPU: use --device cpu, or --compute bf16".into());
    }
    if options.compute == Some(ComputeDtype::Int16) {
        return refuse(
            "integer products (int16) need a CPU: use --device cpu, or --compute bf16".into(),
        );
    }
    if options.base == BaseQuantization::F32 {
        return refuse("a base model in f32 needs a CPU: use --device cpu, or --base bf16".into());
    }
    if !c.head_dim.is_multiple_of(8) || c.head_dim > 128 {
        return shape(format!(
            "heads of {} numbers, expected a multiple of 8 up to 128",
            c.head_dim
        ));
    }
    if c.hidden_size > 8192 {
        return shape(format!(
            "hidden_size {}, expected at most 8192",
            c.hidden_size
        ));
    }
    for (what, n) in [
        ("hidden_size", c.hidden_size),
        ("intermediate_size", c.intermediate_size),
        ("heads × head_dim", c.num_attention_heads * c.head_dim),
    ] {
        if !n.is_multiple_of(32) {
            return shape(format!("{what} {n}, expected a multiple of 32"));
        }
        if options.base == BaseQuantization::Nf4 && !n.is_multiple_of(64) {
            return refuse(format!(
                "base nf4: {what} {n}, expected a multiple of 64; --base int8 has no such limit"
            ));
        }
    }
    if !c.vocab_size.is_multiple_of(8) {
        return shape(format!(
            "vocab_size {}, expected a multiple of 8",
            c.vocab_size
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use verdict_kernels::cuda::is_kernel;

    use verdict_formats::{Architecture, ModelConfig};
    use verdict_kernels::{BaseQuantization, ComputeDtype};

    use crate::options::LoadOptions;

    fn qwen() -> ModelConfig {
        ModelConfig {
            architecture: Architecture::Qwen3,
            hidden_size: 2048,
            intermediate_size: 6144,
            num_hidden_layers: 28,
            num_attention_heads: 16,
            num_key_value_heads: 8,
            head_dim: 128,
            vocab_size: 151_936,
            max_position_embeddings: 40_960,
            rms_norm_eps: 1e-6,
            rope_theta: 1e6,
            rope_scaling: None,
            tie_word_embeddings: true,
            qkv_bias: false,
            qk_norm: true,
            eos_token_ids: vec![151_643],
        }
    }

    #[test]
    fn what_a_gpu_cannot_run_is_refused_before_anything_is_loaded() {
        let (fine, plain) = (qwen(), LoadOptions::default());
        assert!(super::check(&fine, plain).is_ok());
        let refused =
            |c: &ModelConfig, options| super::check(c, options).expect_err("refused").to_string();
        let compute = LoadOptions {
            compute: Some(ComputeDtype::F32),
            ..plain
        };
        assert_eq!(
            refused(&fine, compute),
            "f32 products need a CPU: use --device cpu, or --compute bf16"
        );
        let base = LoadOptions {
            base: BaseQuantization::F32,
            ..plain
        };
        assert_eq!(
            refused(&fine, base),
            "a base model in f32 needs a CPU: use --device cpu, or --base bf16"
        );
        let wide = ModelConfig {
            head_dim: 256,
            ..qwen()
        };
        assert_eq!(
            refused(&wide, plain),
            "on a GPU: heads of 256 numbers, expected a multiple of 8 up to 128; --device cpu has no such limit"
        );
        let odd = ModelConfig {
            intermediate_size: 6150,
            ..qwen()
        };
        assert_eq!(
            refused(&odd, plain),
            "on a GPU: intermediate_size 6150, expected a multiple of 32; --device cpu has no such limit"
        );
        let narrow = ModelConfig {
            intermediate_size: 6176,
            ..qwen()
        };
        assert!(super::check(&narrow, plain).is_ok());
        let nf4 = LoadOptions {
            base: BaseQuantization::Nf4,
            ..plain
        };
        assert_eq!(
            refused(&narrow, nf4),
            "base nf4: intermediate_size 6176, expected a multiple of 64; --base int8 has no such limit"
        );
        let vocabulary = ModelConfig {
            vocab_size: 50_257,
            ..qwen()
        };
        assert_eq!(
            refused(&vocabulary, plain),
            "on a GPU: vocab_size 50257, expected a multiple of 8; --device cpu has no such limit"
        );
    }

    /// A misspelt name would be found only on a GPU.
    #[test]
    fn what_is_compiled_ahead_exists() {
        let steps = crate::gpu::recorded_step::STEP_KERNELS;
        for name in super::PASS_KERNELS.iter().chain(&steps) {
            assert!(is_kernel(name), "{name}");
        }
    }
}
