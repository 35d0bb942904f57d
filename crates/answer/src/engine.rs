//! What answering asks of a model: sequences with a cache, extended many at a time, and the logits after
//! each. Those stay where the model made them: few of them are ever wanted.

use std::error::Error;

use verdict_model::{AdapterBank, KvCache, Model};
pub use verdict_model::{Chunk, LogitRow, Logits};

/// A model with its adapters and a cache. [`ModelEngine`] is the real one.
pub trait Engine {
    /// Size of the vocabulary: the length of one row of logits.
    fn vocabulary(&self) -> usize;
    /// Most tokens that one sequence may have.
    fn max_positions(&self) -> usize;
    /// Number of adapters.
    fn adapters(&self) -> usize;
    /// Name of an adapter.
    fn adapter_name(&self, adapter: usize) -> &str;
    /// Opens an empty sequence and gives its number.
    fn add_sequence(&mut self) -> usize;
    /// Opens a sequence that begins as another one stands, and gives its number.
    ///
    /// # Errors
    /// What the model says.
    fn fork(&mut self, sequence: usize) -> Result<usize, Box<dyn Error + Send + Sync>>;
    /// Closes a sequence.
    fn release(&mut self, sequence: usize);
    /// Appends each chunk's tokens to its sequence, all in one packed batch. The logits of `probes` are sure
    /// to be asked for.
    ///
    /// # Errors
    /// What the model says.
    fn extend(
        &mut self,
        chunks: &[Chunk<'_>],
        probes: &[u32],
    ) -> Result<(), Box<dyn Error + Send + Sync>>;
    /// The logits after each chunk of the last extension, also when sequences were forked or closed since.
    fn logits(&self) -> Logits<'_>;
}

/// The real model with a cache of its own.
#[derive(Debug)]
pub struct ModelEngine<'m> {
    model: &'m Model,
    bank: &'m AdapterBank,
    cache: KvCache,
}

impl<'m> ModelEngine<'m> {
    /// An engine with an empty cache.
    pub fn new(model: &'m Model, bank: &'m AdapterBank) -> ModelEngine<'m> {
        ModelEngine {
            model,
            bank,
            cache: model.new_cache(),
        }
    }
}

impl Engine for ModelEngine<'_> {
    fn vocabulary(&self) -> usize {
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
