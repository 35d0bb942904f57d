//! Rows in chunks: one thread reads them and makes their prompts while the model answers the chunk before.

use std::ops::{ControlFlow, Range};
use std::sync::mpsc::sync_channel;
use std::thread;

use rayon::prelude::*;
use serde_json::Value;
use verdict_answer::EncodedPrompt;
use verdict_data::TableRow;

use super::input::{BulkInput, RowQuestion};
use crate::failure::Result;

/// Chunks that wait for the model, beside the one that is being made.
const AHEAD: usize = 1;

/// Makes the prompt of a question and its context, or says why there is none.
type Encode<'a> =
    dyn Fn(&str, Option<&str>) -> std::result::Result<EncodedPrompt, String> + Sync + 'a;

/// Consecutive rows.
#[derive(Default)]
pub struct Chunk {
    pub rows: Vec<ChunkRow>,
    /// The questions that can be asked, in the order of their rows, with their prompts.
    prompts: Vec<(String, EncodedPrompt)>,
}

/// A row of a chunk.
pub struct ChunkRow {
    pub id: Value,
    pub asked: Asked,
}

/// What becomes of a row.
pub enum Asked {
    /// It is asked; its prompt is among those of the chunk.
    Prompt,
    /// It cannot be asked.
    Refused(String),
}

impl Chunk {
    /// The fault of the first row that cannot be asked.
    pub fn first_fault(&self) -> Option<&str> {
        self.rows.iter().find_map(|row| match &row.asked {
            Asked::Refused(fault) => Some(fault.as_str()),
            Asked::Prompt => None,
        })
    }

    /// The questions and their prompts.
    pub fn take_prompts(&mut self) -> (Vec<String>, Vec<EncodedPrompt>) {
        std::mem::take(&mut self.prompts).into_iter().unzip()
    }

    /// Makes the prompts of rows, on all threads: a GPU answers faster than one thread cleans and encodes texts.
    fn new(input: &BulkInput, rows: &[TableRow], encode: &Encode<'_>) -> Self {
        let encoded = rows.par_iter().map(|row| {
            let row = input.asked(row);
            (row.id, row.asked.and_then(|of| encoded(input, of, encode)))
        });
        let encoded: Vec<_> = encoded.collect();
        let mut chunk = Chunk::default();
        for (id, asked) in encoded {
            let asked = match asked {
                Ok(prompt) => {
                    chunk.prompts.push(prompt);
                    Asked::Prompt
                }
                Err(fault) => Asked::Refused(fault),
            };
            chunk.rows.push(ChunkRow { id, asked });
        }
        chunk
    }
}

/// Calls `each` with the rows of a range (numbered from 0), `size` at a time.
///
/// # Errors
/// Faults of the file, and those of `each`, which end the reading.
pub fn each(
    input: &BulkInput,
    range: Range<usize>,
    size: usize,
    encode: &Encode<'_>,
    each: &mut dyn FnMut(Chunk) -> Result,
) -> Result {
    if range.is_empty() {
        return Ok(());
    }
    thread::scope(|scope| {
        let (sender, chunks) = sync_channel::<Chunk>(AHEAD);
        let reader = scope.spawn(move || {
            let mut rows = Vec::new();
            let read = input.rows(&mut |row| {
                let place = row.number - 1;
                if place >= range.end {
                    return ControlFlow::Break(());
                }
                if place < range.start {
                    return ControlFlow::Continue(());
                }
                rows.push(row);
                if rows.len() < size {
                    return ControlFlow::Continue(());
                }
                let chunk = Chunk::new(input, &rows, encode);
                rows.clear();
                // The other side has failed where it no longer takes any.
                match sender.send(chunk) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            });
            if read.is_ok() && !rows.is_empty() {
                let _ = sender.send(Chunk::new(input, &rows, encode));
            }
            read
        });
        let answered = chunks.iter().try_for_each(each);
        // Ends the reader, which may wait to send.
        drop(chunks);
        let read = reader
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        answered.and(read)
    })
}

/// The question of a row and its prompt.
fn encoded(
    input: &BulkInput,
    asked: RowQuestion,
    encode: &Encode<'_>,
) -> std::result::Result<(String, EncodedPrompt), String> {
    let RowQuestion { question, context } = asked;
    let question = question.or_else(|| input.question.clone());
    let question = question.unwrap_or_default();
    let prompt = encode(&question, context.as_deref())?;
    Ok((question, prompt))
}
