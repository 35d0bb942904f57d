//! Packed batches: sequences one after the other, sorted by adapter, without padding.

use std::ops::Range;

use verdict_formats::ModelConfig;

use crate::error::{Error, Result};

/// One sequence of a packed batch.
#[derive(Clone, Copy, Debug)]
pub struct Example<'a> {
    /// Adapter it passes through; none for the base model alone. Examples are sorted by it.
    pub adapter: Option<usize>,
    /// Prompt and completion.
    pub tokens: &'a [u32],
    /// Index in `tokens` of the first supervised token, at least 1.
    pub loss_from: usize,
    /// Multiplies each supervised token's loss in the gradient: 1 / (supervised tokens of the adapter's
    /// whole batch, each counted by its factor in `rest`).
    pub weight: f32,
    /// From this index in `tokens` on, `weight` is multiplied by this factor.
    pub rest: Option<(usize, f32)>,
    /// Key of the example's dropout masks, from its step and its index in its adapter's own batch.
    pub key: u64,
}

/// Tokens to append to a sequence.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Which sequence of the cache.
    pub sequence: usize,
    /// Adapter it passes through; none for the base model alone.
    pub adapter: Option<usize>,
    /// New tokens, at least one.
    pub tokens: &'a [u32],
}

/// The loss of one example.
#[derive(Clone, Debug, PartialEq)]
pub struct ExampleLoss {
    /// Sum of its supervised tokens' losses in nats, unweighted.
    pub loss_sum: f64,
    /// Supervised tokens.
    pub tokens: usize,
    /// Logits of the probe tokens in the row that predicts `tokens[loss_from]`.
    pub probes: Vec<f32>,
}

/// Largest number of positions a sequence may have, whatever the model's configuration allows. The table of
/// rotary angles, `head_dim` floats per position, then takes 64 MiB for heads of 128.
pub const MAX_POSITIONS: usize = 131_072;

/// Bounds that the tokens of a batch must respect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) vocabulary: usize,
    /// The model's own positions, at most [`MAX_POSITIONS`].
    pub(crate) positions: usize,
}

impl Limits {
    pub(crate) fn of(config: &ModelConfig) -> Self {
        Self {
            vocabulary: config.vocab_size,
            positions: config.max_position_embeddings.min(MAX_POSITIONS),
        }
    }

    pub(crate) fn check_tokens(&self, tokens: &[u32], length: usize) -> Result<()> {
        if length > self.positions {
            return Err(Error::TooLong {
                found: length,
                limit: self.positions,
            });
        }
        match tokens.iter().find(|t| **t as usize >= self.vocabulary) {
            Some(t) => Err(Error::Token {
                found: *t,
                vocabulary: self.vocabulary,
            }),
            None => Ok(()),
        }
    }
}

/// Rows of one adapter.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) adapter: usize,
    pub(crate) rows: Range<usize>,
    /// The sequences within.
    pub(crate) spans: Vec<Range<usize>>,
}

/// A batch as the decoder reads it.
#[derive(Debug)]
pub(crate) struct Packed {
    /// T tokens.
    pub(crate) tokens: Vec<u32>,
    /// Position of each row in its sequence.
    pub(crate) positions: Vec<u32>,
    /// Dropout key of each row.
    pub(crate) keys: Vec<u64>,
    pub(crate) spans: Vec<Range<usize>>,
    pub(crate) groups: Vec<Group>,
    pub(crate) supervised: Vec<Supervised>,
}

/// A row whose next token is a target of the loss.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Supervised {
    pub(crate) row: usize,
    pub(crate) target: u32,
    pub(crate) weight: f32,
    pub(crate) example: usize,
}

impl Packed {
    pub(crate) fn new(limits: Limits, adapters: usize, examples: &[Example<'_>]) -> Result<Self> {
        let mut packed = Self {
            tokens: Vec::new(),
            positions: Vec::new(),
            keys: Vec::new(),
            spans: Vec::new(),
            groups: Vec::new(),
            supervised: Vec::new(),
        };
        for (index, e) in examples.iter().enumerate() {
            if index > 0 && e.adapter < examples[index - 1].adapter {
                return Err(Error::Batch("examples must be sorted by adapter".into()));
            }
            if e.adapter.is_some_and(|a| a >= adapters) {
                return Err(Error::Batch(format!(
                    "example {index}: no adapter {:?}",
                    e.adapter
                )));
            }
            if e.loss_from == 0 || e.loss_from >= e.tokens.len() {
                return Err(Error::Batch(format!(
                    "example {index}: supervised from token {} of {}",
                    e.loss_from,
                    e.tokens.len()
                )));
            }
            limits.check_tokens(e.tokens, e.tokens.len())?;
            let start = packed.tokens.len();
            // The last token predicts nothing, so its row is not computed.
            let rows = e.tokens.len() - 1;
            packed.tokens.extend(&e.tokens[..rows]);
            packed.positions.extend(0..rows as u32);
            packed.keys.extend(std::iter::repeat_n(e.key, rows));
            packed.add_span(e.adapter, start..start + rows);
            for at in e.loss_from..e.tokens.len() {
                packed.supervised.push(Supervised {
                    row: start + at - 1,
                    target: e.tokens[at],
                    weight: match e.rest {
                        Some((from, factor)) if at >= from => e.weight * factor,
                        _ => e.weight,
                    },
                    example: index,
                });
            }
        }
        Ok(packed)
    }

    /// Chunks to append to sequences; `length` gives the number of tokens of a running sequence.
    pub(crate) fn of_chunks(
        limits: Limits,
        adapters: usize,
        chunks: &[Chunk<'_>],
        length: impl Fn(usize) -> Option<usize>,
    ) -> Result<Self> {
        let mut packed = Self::new(limits, adapters, &[])?;
        let mut seen = std::collections::HashSet::new();
        for chunk in chunks {
            let bad = |what: &str| Error::Batch(format!("sequence {}: {what}", chunk.sequence));
            let len = length(chunk.sequence).ok_or_else(|| bad("not in the cache"))?;
            if chunk.tokens.is_empty() {
                return Err(bad("no token to append"));
            }
            if !seen.insert(chunk.sequence) {
                return Err(bad("named twice"));
            }
            if chunk.adapter.is_some_and(|a| a >= adapters) {
                return Err(bad("no such adapter"));
            }
            let end = len + chunk.tokens.len();
            limits.check_tokens(chunk.tokens, end)?;
            let start = packed.rows();
            packed.tokens.extend(chunk.tokens);
            packed.positions.extend((len..end).map(|p| p as u32));
            packed
                .keys
                .extend(std::iter::repeat_n(0, chunk.tokens.len()));
            packed.add_span(chunk.adapter, start..packed.rows());
        }
        Ok(packed)
    }

    pub(crate) fn add_span(&mut self, adapter: Option<usize>, span: Range<usize>) {
        self.spans.push(span.clone());
        let Some(adapter) = adapter else { return };
        match self.groups.last_mut() {
            Some(g) if g.adapter == adapter && g.rows.end == span.start => {
                g.rows.end = span.end;
                g.spans.push(span);
            }
            _ => self.groups.push(Group {
                adapter,
                rows: span.clone(),
                spans: vec![span],
            }),
        }
    }

    /// T.
    pub(crate) fn rows(&self) -> usize {
        self.tokens.len()
    }
}
