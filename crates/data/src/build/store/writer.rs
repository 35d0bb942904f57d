//! Writing a shard, piece by piece.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{
    BANDS_FILE, INDEX_MAGIC, Index, Input, Piece, ROWS, Row, SHINGLES, ShardSettings, Store, bytes,
};
use crate::build::rules::{CleanedExample, Tally};
use crate::near::{self, BANDS};
use crate::{Error, Result};

/// A piece that was cleaned, ready to be appended.
#[derive(Default)]
pub(crate) struct Block {
    rows: Vec<Row>,
    texts: Vec<u8>,
    shingles: Vec<u32>,
    /// By band, then by row: of the questions, then of the rationales.
    bands: Vec<u32>,
    keys: Vec<u64>,
    ids: String,
}

impl Block {
    /// Of the cleaned rows of a piece.
    pub(crate) fn of(rows: &[CleanedExample], source: u16) -> Block {
        let mut block = Block::default();
        for row in rows {
            let at = block.texts.len();
            block.texts = postcard::to_extend(&row.kept, std::mem::take(&mut block.texts))
                .expect("a row has only texts and numbers");
            let shingles_at = block.shingles.len() as u64;
            // A text of more word pairs than a number of 16 bits counts is compared by its first ones.
            let most =
                |shingles: &near::Shingles| shingles.hashes().len().min(usize::from(u16::MAX));
            let (of_question, of_rationale) = (most(&row.question), most(&row.rationale));
            block.shingles.extend(&row.question.hashes()[..of_question]);
            block
                .shingles
                .extend(&row.rationale.hashes()[..of_rationale]);
            let id = cut(&row.kept.id);
            let keys = row.keys.len().min(usize::from(u16::MAX));
            block.keys.extend(&row.keys[..keys]);
            block.ids.push_str(id);
            block.rows.push(Row {
                at: at as u64,
                bytes: (block.texts.len() - at) as u32,
                shingles_at,
                question_shingles: of_question as u16,
                rationale_shingles: of_rationale as u16,
                source,
                shard: 0,
                question: row.question_key,
                keys: keys as u16,
                id: id.len() as u16,
                label: row.kept.label,
                pin: row.pin,
            });
        }
        for text in [
            |row: &CleanedExample| row.question.bands(),
            |row: &CleanedExample| row.rationale.bands(),
        ] {
            let bands: Vec<[u32; BANDS]> = rows
                .iter()
                .map(|row| text(row).unwrap_or_default())
                .collect();
            for band in 0..BANDS {
                block.bands.extend(bands.iter().map(|of| of[band]));
            }
        }
        block
    }
}

/// An id, as long as ids may be.
fn cut(id: &str) -> &str {
    let most = id.floor_char_boundary(usize::from(u16::MAX));
    &id[..most]
}

/// A shard that is being written.
pub(crate) struct Writer {
    dir: PathBuf,
    texts: BufWriter<File>,
    shingles: BufWriter<File>,
    bands: BufWriter<File>,
    /// Bytes of texts, number of word pairs and bytes of bands so far.
    ends: (u64, u64, u64),
    index: Index,
}

impl Writer {
    /// Begins a shard in a folder that is there.
    pub(crate) fn new(dir: &Path, shard_settings: ShardSettings) -> Result<Writer> {
        let create = |name| {
            let path = dir.join(name);
            let file = File::create(&path).map_err(Error::io(path))?;
            Ok(BufWriter::with_capacity(1 << 20, file))
        };
        Ok(Writer {
            dir: dir.to_owned(),
            texts: create(ROWS)?,
            shingles: create(SHINGLES)?,
            bands: create(BANDS_FILE)?,
            ends: (0, 0, 0),
            index: Index {
                magic: INDEX_MAGIC.into(),
                version: env!("CARGO_PKG_VERSION").into(),
                shard_settings,
                inputs: Vec::new(),
                tally: Tally::default(),
                pieces: Vec::new(),
                rows: Vec::new(),
                keys: Vec::new(),
                ids: String::new(),
            },
        })
    }

    /// Appends a piece.
    pub(crate) fn append(&mut self, number: u32, source: u16, block: Block) -> Result<()> {
        let (texts_at, shingles_at, bands_at) = self.ends;
        self.index.pieces.push(Piece {
            source,
            number,
            rows: block.rows.len() as u32,
            bands_at,
        });
        self.index.rows.extend(block.rows.iter().map(|row| Row {
            at: row.at + texts_at,
            shingles_at: row.shingles_at + shingles_at,
            ..*row
        }));
        self.index.keys.extend(block.keys);
        self.index.ids.push_str(&block.ids);
        self.ends = (
            texts_at + block.texts.len() as u64,
            shingles_at + block.shingles.len() as u64,
            bands_at + 4 * block.bands.len() as u64,
        );
        let write = |name: &str, file: &mut BufWriter<File>, bytes: &[u8]| {
            file.write_all(bytes)
                .map_err(Error::io(self.dir.join(name)))
        };
        write(ROWS, &mut self.texts, &block.texts)?;
        write(SHINGLES, &mut self.shingles, &bytes(&block.shingles))?;
        write(BANDS_FILE, &mut self.bands, &bytes(&block.bands))
    }

    /// Completes the index with the sources and what the rules did.
    pub(crate) fn finish(mut self, inputs: Vec<Input>, tally: Tally) -> Result<Store> {
        self.index.inputs = inputs;
        self.index.tally = tally;
        for (name, file) in [
            (ROWS, &mut self.texts),
            (SHINGLES, &mut self.shingles),
            (BANDS_FILE, &mut self.bands),
        ] {
            file.flush().map_err(Error::io(self.dir.join(name)))?;
        }
        Store::new(vec![(self.dir, self.index)])
    }
}
