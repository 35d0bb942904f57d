//! The interface between answering and the model: sequences with a KV cache, extended many at a time, and the logits
//! after each. Logits stay on the device, since few of them are ever read.

use std::error::Error;

use verdict_model::{AdapterBank, KvCache, Model};
pub use verdict_model::{Chunk, LogitRow, Logits};

/// A model with its adapters and a KV cache, implemented by [`ModelInferenceEngine`] and by a scripted model for tests.
pub trait InferenceEngine {
    /// Number of rows of the embedding, and of logits.
    fn vocab_size(&self) -> usize;
    /// Maximum number of tokens in a sequence.
    fn max_positions(&self) -> usize;
    /// Number of adapters.
    fn adapters(&self) -> usize;
    /// Name of an adapter.
    fn adapter_name(&self, adapter: usize) -> &str;
    /// Opens an empty sequence and returns its number.
    fn add_sequence(&mut self) -> usize;
    /// Opens a copy of a sequence and returns its number.
    ///
    /// # Errors
    /// Errors of the model.
    fn fork(&mut self, sequence: usize) -> Result<usize, Box<dyn Error + Send + Sync>>;
    /// Closes a sequence.
    fn release(&mut self, sequence: usize);
    /// Appends each chunk's tokens to its sequence, all in one packed batch. `probes` are tokens whose logits will be
    /// read.
    ///
    /// # Errors
    /// Errors of the model.
    fn extend(
        &mut self,
        chunks: &[Chunk<'_>],
        probes: &[u32],
    ) -> Result<(), Box<dyn Error + Send + Sync>>;
    /// The logits after each chunk of the last extension; still valid after sequences were forked or released.
    fn logits(&self) -> Logits<'_>;
}

/// A model with a KV cache of its own.
#[derive(Debug)]
pub struct ModelInferenceEngine<'m> {
    model: &'m Model,
    bank: &'m AdapterBank,
    cache: KvCache,
}

impl<'m> ModelInferenceEngine<'m> {
    /// An engine with an empty cache.
    pub fn new(model: &'m Model, bank: &'m AdapterBank) -> ModelInferenceEngine<'m> {
        ModelInferenceEngine {
            model,
            bank,
            cache: model.new_cache(),
        }
    }
}

impl InferenceEngine for ModelInferenceEngine<'_> {
    fn vocab_size(&self) -> usize {
        self.model.config().vocab_size
    }

    fn max_positions(&self) -> usize {
        self.model.max_positions()
    }

    fn adapters(&self) -> usize {
        self.bank.len()
    }

    fn adapter_name(&self, adapter: usize) -> &str {
        self.bank.name(adapter)
    }

    fn add_sequence(&mut self) -> usize {
        self.cache.add_sequence()
    }

    fn fork(&mut self, sequence: usize) -> Result<usize, Box<dyn Error + Send + Sync>> {
        Ok(self.cache.fork(sequence)?)
    }

    fn release(&mut self, sequence: usize) {
        self.cache.release(sequence);
    }

    fn extend(
        &mut self,
        chunks: &[Chunk<'_>],
        probes: &[u32],
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let (model, cache) = (self.model, &mut self.cache);
        model.advance(self.bank, cache, chunks, probes)?;
        Ok(())
    }

    fn logits(&self) -> Logits<'_> {
        self.model.logits(&self.cache)
    }
}
