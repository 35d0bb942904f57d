//! A frozen model, on a CPU or a GPU.

use verdict_formats::{Checkpoint, ModelConfig};
use verdict_kernels::cuda::KernelTime;
use verdict_kernels::{BaseQuantization, ComputeDtype, Isa};

use crate::bank::AdapterBank;
use crate::batch::{Chunk, Example, ExampleLoss, Limits};
use crate::cpu::{CpuCache, CpuModel};
use crate::error::Result;
use crate::gpu::{GpuCache, GpuModel};
use crate::logits::Logits;
use crate::options::{Device, LoadOptions};

/// Bytes of a model's weights on disk: of a GGUF file, or of a folder's safetensors; none without a file.
fn weight_bytes(path: &std::path::Path) -> Option<u64> {
    let known = std::fs::metadata(path).ok()?;
    if known.is_file() {
        return Some(known.len());
    }
    let files = std::fs::read_dir(path).ok()?.flatten();
    let weights = files.filter(|file| {
        file.path()
            .extension()
            .is_some_and(|of| of == "safetensors")
    });
    // Through links, as the hub's own cache has them.
    Some(
        weights
            .filter_map(|file| Some(std::fs::metadata(file.path()).ok()?.len()))
            .sum(),
    )
}

/// A frozen decoder, loaded.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    base: BaseQuantization,
    device: Device,
    pub(crate) backend: Backend,
}

/// The engine that holds the weights.
#[derive(Debug)]
pub(crate) enum Backend {
    Cpu(Box<CpuModel>),
    Gpu(Box<GpuModel>),
}

/// Keys and values of running sequences.
#[derive(Debug)]
pub struct KvCache(CacheStorage);

#[derive(Debug)]
enum CacheStorage {
    Cpu(CpuCache),
    Gpu(GpuCache),
}

impl Model {
    /// Reads, checks and packs all weights.
    ///
    /// # Errors
    /// A file that is wrong, a weight that is not finite, or options that this machine cannot compute with.
    pub fn load(checkpoint: &Checkpoint, options: LoadOptions) -> Result<Self> {
        let started = std::time::Instant::now();
        let backend = match options.device {
            Device::Cpu => Backend::Cpu(Box::new(CpuModel::load(checkpoint, options)?)),
            Device::Cuda(ordinal) => {
                Backend::Gpu(Box::new(GpuModel::load(checkpoint, ordinal, options)?))
            }
        };
        let config = &checkpoint.config;
        let device = match options.device {
            Device::Cpu => "cpu".to_owned(),
            Device::Cuda(number) => format!("cuda:{number}"),
        };
        let numbers = |(_, shape): (String, Vec<usize>)| shape.iter().product::<usize>();
        tracing::info!(
            path = %checkpoint.path().display(),
            family = config.architecture.name(),
            layers = config.num_hidden_layers,
            parameters = config.tensors().into_iter().map(numbers).sum::<usize>(),
            bytes = weight_bytes(checkpoint.path()),
            base = options.base.name(),
            device,
            seconds = started.elapsed().as_secs_f64(),
            "model loaded"
        );
        Ok(Self {
            config: checkpoint.config.clone(),
            base: options.base,
            device: options.device,
            backend,
        })
    }

    /// Shape and constants.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where it runs.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Number format of the products.
    pub fn compute(&self) -> ComputeDtype {
        match &self.backend {
            Backend::Cpu(model) => model.cpu.compute(),
            Backend::Gpu(_) => ComputeDtype::Bf16,
        }
    }

    /// Format of the frozen weights.
    pub fn base(&self) -> BaseQuantization {
        self.base
    }

    /// Instruction set in use, on the CPU.
    pub fn isa(&self) -> Isa {
        match &self.backend {
            Backend::Cpu(model) => model.cpu.isa(),
            Backend::Gpu(_) => Isa::detect(),
        }
    }

    /// Worker threads of the CPU engine; 1 beside a GPU.
    pub fn threads(&self) -> usize {
        match &self.backend {
            Backend::Cpu(model) => model.cpu.threads(),
            Backend::Gpu(_) => 1,
        }
    }

    /// Memory of the frozen weights.
    pub fn weight_bytes(&self) -> usize {
        match &self.backend {
            Backend::Cpu(model) => model.weight_bytes(),
            Backend::Gpu(model) => model.weight_bytes(),
        }
    }

    /// Peak GPU memory held so far, in bytes; none on the CPU.
    pub fn peak_device_bytes(&self) -> Option<u64> {
        match &self.backend {
            Backend::Cpu(_) => None,
            Backend::Gpu(model) => Some(model.gpu().peak_bytes() as u64),
        }
    }

    /// Starts measuring the times of a GPU's kernels; does nothing on the CPU.
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn start_profile(&self) -> Result<()> {
        match &self.backend {
            Backend::Cpu(_) => Ok(()),
            Backend::Gpu(model) => Ok(model.gpu().start_profile()?),
        }
    }

    /// Ends a profile: the times of all kernels since it began, longest first.
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn end_profile(&self) -> Result<Vec<KernelTime>> {
        match &self.backend {
            Backend::Cpu(_) => Ok(Vec::new()),
            Backend::Gpu(model) => Ok(model.gpu().end_profile()?),
        }
    }

    /// Tokens of one training micro-batch with this bank that the device has memory for; none on the CPU, which
    /// has no such bound.
    pub fn micro_batch_tokens(&self, bank: &AdapterBank) -> Option<usize> {
        match &self.backend {
            Backend::Cpu(_) => None,
            Backend::Gpu(model) => Some(model.micro_batch_tokens(bank, false)),
        }
    }

    /// Positions a sequence may have.
    pub fn max_positions(&self) -> usize {
        self.limits().positions
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits::of(&self.config)
    }

    /// Losses without gradient and without dropout.
    ///
    /// # Errors
    /// Examples that are unsorted, too long, or name unknown tokens or adapters; a GPU that fails.
    pub fn evaluate(
        &self,
        bank: &AdapterBank,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>> {
        match &self.backend {
            Backend::Cpu(model) => model.evaluate(bank, examples, probes),
            Backend::Gpu(model) => model.evaluate(bank, examples, probes),
        }
    }

    /// An empty cache.
    pub fn new_cache(&self) -> KvCache {
        KvCache(match &self.backend {
            Backend::Cpu(model) => CacheStorage::Cpu(model.new_cache()),
            Backend::Gpu(model) => CacheStorage::Gpu(model.new_cache()),
        })
    }

    /// Appends tokens to sequences, all chunks in one packed batch. Returns the logits after each
    /// chunk's last token, `[chunks, V]`; the cache does not keep them.
    ///
    /// # Errors
    /// An unknown sequence, adapter or token, an empty chunk, a sequence named twice or grown too long.
    ///
    /// # Panics
    /// With a cache of another model's device.
    pub fn extend(
        &self,
        bank: &AdapterBank,
        cache: &mut KvCache,
        chunks: &[Chunk<'_>],
    ) -> Result<Vec<f32>> {
        match (&self.backend, &mut cache.0) {
            (Backend::Cpu(model), CacheStorage::Cpu(cache)) => model.extend(bank, cache, chunks),
            (Backend::Gpu(model), CacheStorage::Gpu(cache)) => model.extend(bank, cache, chunks),
            _ => panic!("a cache of another device"),
        }
    }

    /// As [`extend`](Self::extend), but the logits stay on the device, to be read until the next extension.
    /// `probes` are tokens whose logits will certainly be read: on a GPU they are copied to the host with the
    /// best tokens. Calls with the same probes as the call before are quickest.
    ///
    /// # Errors
    /// As [`extend`](Self::extend); a probe that is not in the vocabulary.
    ///
    /// # Panics
    /// With a cache of another model's device.
    pub fn advance<'a>(
        &'a self,
        bank: &AdapterBank,
        cache: &'a mut KvCache,
        chunks: &[Chunk<'_>],
        probes: &[u32],
    ) -> Result<Logits<'a>> {
        self.limits().check_tokens(probes, 0)?;
        match (&self.backend, &mut cache.0) {
            (Backend::Cpu(model), CacheStorage::Cpu(cache)) => {
                model.advance(bank, cache, chunks)?
            }
            (Backend::Gpu(model), CacheStorage::Gpu(cache)) => {
                model.advance(bank, cache, chunks, probes)?;
            }
            _ => panic!("a cache of another device"),
        }
        Ok(self.logits(cache))
    }

    /// The logits of the cache's last [`advance`](Self::advance). Forks and releases since then do not matter.
    ///
    /// # Panics
    /// With a cache of another model's device.
    pub fn logits<'a>(&'a self, cache: &'a KvCache) -> Logits<'a> {
        match (&self.backend, &cache.0) {
            (Backend::Cpu(_), CacheStorage::Cpu(cache)) => {
                Logits::host(&cache.logits, self.config.vocab_size)
            }
            (Backend::Gpu(model), CacheStorage::Gpu(cache)) => {
                Logits::gpu(model, cache.last.as_ref())
            }
            _ => panic!("a cache of another device"),
        }
    }
}

impl Model {
    /// Decodes `new_tokens` tokens greedily after each prompt, past end-of-text tokens too; a chunk's
    /// `sequence` is not used.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    pub fn generate(
        &self,
        bank: &AdapterBank,
        prompts: &[Chunk<'_>],
        new_tokens: usize,
    ) -> Result<Vec<Vec<u32>>> {
        if let Backend::Gpu(model) = &self.backend {
            return model.generate(bank, prompts, new_tokens);
        }
        let mut cache = self.new_cache();
        let sequences: Vec<usize> = prompts.iter().map(|_| cache.add_sequence()).collect();
        let mut answers = vec![Vec::new(); prompts.len()];
        let mut pending: Vec<Vec<u32>> = prompts.iter().map(|p| p.tokens.to_vec()).collect();
        for _ in 0..new_tokens {
            let chunk = |i: usize| Chunk {
                sequence: sequences[i],
                adapter: prompts[i].adapter,
                tokens: &pending[i],
            };
            let chunks: Vec<Chunk<'_>> = (0..prompts.len()).map(chunk).collect();
            let logits = self.extend(bank, &mut cache, &chunks)?;
            for (i, row) in logits.chunks_exact(self.config.vocab_size).enumerate() {
                let best = |a: usize, b: usize| if row[b] > row[a] { b } else { a };
                let token = (0..row.len()).reduce(best).unwrap_or(0) as u32;
                answers[i].push(token);
                pending[i] = vec![token];
            }
        }
        Ok(answers)
    }
}

impl KvCache {
    /// Starts an empty sequence; returns its number.
    pub fn add_sequence(&mut self) -> usize {
        match &mut self.0 {
            CacheStorage::Cpu(cache) => cache.add_sequence(),
            CacheStorage::Gpu(cache) => cache.add_sequence(),
        }
    }

    /// Starts a sequence with the state of another.
    ///
    /// # Errors
    /// A GPU without memory for it.
    ///
    /// # Panics
    /// When there is no such sequence.
    pub fn fork(&mut self, sequence: usize) -> Result<usize> {
        match &mut self.0 {
            CacheStorage::Cpu(cache) => Ok(cache.fork(sequence)),
            CacheStorage::Gpu(cache) => cache.fork(sequence),
        }
    }

    /// Ends a sequence; its number may be reused.
    pub fn release(&mut self, sequence: usize) {
        match &mut self.0 {
            CacheStorage::Cpu(cache) => cache.release(sequence),
            CacheStorage::Gpu(cache) => cache.release(sequence),
        }
    }

    /// Tokens of a sequence so far.
    pub fn len(&self, sequence: usize) -> usize {
        match &self.0 {
            CacheStorage::Cpu(cache) => cache.len(sequence),
            CacheStorage::Gpu(cache) => cache.len(sequence),
        }
    }

    /// Whether no sequence is running.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            CacheStorage::Cpu(cache) => cache.is_empty(),
            CacheStorage::Gpu(cache) => cache.is_empty(),
        }
    }
}
