//! Cleaned rows on disk, and in memory what has to be known of all of them at once.
//!
//! The texts of a row, its word pairs and its band numbers lie in three files; a row in memory is its label, its
//! keys and its place in these files: about a hundred bytes. A store is one shard of a build or, for merging, several: rows
//! are numbered as one build would have read them, by source, then by piece, then within the piece.

mod sides;
mod writer;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::rules::{StoredExample, Tally};
use crate::manifest::SourceRecord;
use crate::{Error, Label, Result, Split};

pub(crate) use sides::StoredTexts;
pub(crate) use writer::{Block, Writer};

const ROWS: &str = "rows.bin";
const SHINGLES: &str = "shingles.bin";
const BANDS_FILE: &str = "bands.bin";
const INDEX: &str = "shard.bin";
/// Bytes read at once of a file that is read whole.
const PAGE: usize = 1 << 20;
/// Bytes of memory that a row takes at most from reading to writing, its word pairs apart: about 60 of its record,
/// 40 of its id, and 100 while keys are sorted; later 200 while rows are seated in splits.
const ROW_BYTES: u64 = 300;
/// First bytes of an index: what it is and the version of its layout.
const INDEX_MAGIC: &str = "verdict shard 1";

/// What is known in memory of a row.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Where its texts begin, and how long they are.
    at: u64,
    bytes: u32,
    /// Where its word pairs begin, and how many the question and the rationale have.
    shingles_at: u64,
    question_shingles: u16,
    rationale_shingles: u16,
    /// Number of its source.
    pub(crate) source: u16,
    /// Number of its shard, given when it is opened.
    shard: u16,
    /// Hash of the key that only a duplicate shares.
    pub(crate) question: u64,
    /// Keys that it has, behind those of the row before.
    keys: u16,
    /// Bytes of its id, behind those of the row before.
    id: u16,
    pub(crate) label: Option<Label>,
    pub(crate) pin: Option<Split>,
}

/// Rows of one piece that were kept.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Piece {
    source: u16,
    number: u32,
    rows: u32,
    bands_at: u64,
}

/// What a source gave to a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Input {
    /// As it was written.
    pub(crate) text: String,
    #[serde(with = "as_json")]
    pub(crate) record: SourceRecord,
}

/// A record of the manifest leaves out what it has not, which only a self-describing format can read again.
mod as_json {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::manifest::SourceRecord;

    pub(super) fn serialize<S: Serializer>(
        record: &SourceRecord,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(record).map_err(serde::ser::Error::custom)?;
        text.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<SourceRecord, D::Error> {
        let text = String::deserialize(from)?;
        serde_json::from_str(&text).map_err(serde::de::Error::custom)
    }
}

/// What shards of one build must have in common, and which one this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShardSettings {
    pub(crate) seed: u64,
    pub(crate) context: Option<String>,
    pub(crate) rules: Option<String>,
    /// Number, from 1, of how many.
    pub(crate) shard: (u32, u32),
}

/// Everything of a shard but its three files.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    magic: String,
    version: String,
    shard_settings: ShardSettings,
    inputs: Vec<Input>,
    tally: Tally,
    pieces: Vec<Piece>,
    rows: Vec<Row>,
    keys: Vec<u64>,
    ids: String,
}

/// Numbers as bytes that read the same on every machine.
fn bytes(numbers: &[u32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let four = |four: &[u8]| u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    bytes.chunks_exact(4).map(four)
}

/// The files of a shard.
struct Files {
    dir: PathBuf,
    texts: File,
    shingles: File,
    /// The word pairs of all its texts, where memory is allowed for them.
    held: Option<Vec<u32>>,
    bands: File,
}

impl Files {
    fn open(dir: &Path) -> Result<Files> {
        let open = |name| {
            let path = dir.join(name);
            File::open(&path).map_err(Error::io(path))
        };
        Ok(Files {
            dir: dir.to_owned(),
            texts: open(ROWS)?,
            shingles: open(SHINGLES)?,
            held: None,
            bands: open(BANDS_FILE)?,
        })
    }

    /// Reads all word pairs into memory.
    fn hold(&mut self, bytes: u64) -> Result<()> {
        let mut held = Vec::with_capacity((bytes / 4) as usize);
        let mut page = vec![0; PAGE];
        let mut at = 0;
        while at < bytes {
            let read = (bytes - at).min(PAGE as u64) as usize;
            self.read(SHINGLES, &self.shingles, at, &mut page[..read])?;
            held.extend(numbers(&page[..read]));
            at += read as u64;
        }
        self.held = Some(held);
        Ok(())
    }

    fn read(&self, name: &str, file: &File, at: u64, into: &mut [u8]) -> Result<()> {
        file.read_exact_at(into, at)
            .map_err(Error::io(self.dir.join(name)))
    }
}

/// Which text of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextKind {
    Question,
    Rationale,
}

/// All rows of a build.
pub(crate) struct Store {
    shards: Vec<Files>,
    /// Pieces in the order of rows, with the shard and the number of their first row.
    pieces: Vec<(u16, u32, Piece)>,
    pub(crate) rows: Vec<Row>,
    /// Hashes of the keys of all rows, one row's behind another's. Empty once they were taken.
    keys: Vec<u64>,
    ids: String,
    /// Where each row's id ends.
    id_ends: Vec<u64>,
    pub(crate) shard_settings: ShardSettings,
    pub(crate) inputs: Vec<Input>,
    pub(crate) tally: Tally,
}

impl Store {
    fn new(shards: Vec<(PathBuf, Index)>) -> Result<Store> {
        let files = shards.iter().map(|(dir, _)| Files::open(dir));
        let files: Vec<Files> = files.collect::<Result<_>>()?;
        let mut indexes: Vec<Index> = shards.into_iter().map(|(_, index)| index).collect();
        let mut order: Vec<(u16, u32, usize, usize)> = Vec::new();
        let mut starts: Vec<Vec<(usize, usize, usize)>> = Vec::new();
        for (shard, index) in indexes.iter().enumerate() {
            let (mut row, mut key, mut id) = (0, 0, 0);
            let mut of_pieces = Vec::with_capacity(index.pieces.len());
            for (number, piece) in index.pieces.iter().enumerate() {
                of_pieces.push((row, key, id));
                order.push((piece.source, piece.number, shard, number));
                let rows = &index.rows[row..][..piece.rows as usize];
                key += rows.iter().map(|row| usize::from(row.keys)).sum::<usize>();
                id += rows.iter().map(|row| usize::from(row.id)).sum::<usize>();
                row += rows.len();
            }
            starts.push(of_pieces);
        }
        order.sort_unstable();
        let mut store = Store {
            shards: files,
            pieces: Vec::with_capacity(order.len()),
            rows: Vec::new(),
            keys: Vec::new(),
            ids: String::new(),
            id_ends: Vec::new(),
            shard_settings: indexes[0].shard_settings.clone(),
            inputs: merged(&indexes),
            tally: Tally::default(),
        };
        for index in &indexes {
            store.tally.add(index.tally);
        }
        if let [only] = &mut indexes[..] {
            // One shard is in order as it is.
            store.rows = std::mem::take(&mut only.rows);
            store.keys = std::mem::take(&mut only.keys);
            store.ids = std::mem::take(&mut only.ids);
        }
        let whole = !store.rows.is_empty();
        let mut first = 0;
        for (_, _, shard, number) in order {
            let index = &indexes[shard];
            let piece = index.pieces[number];
            store.pieces.push((shard as u16, first, piece));
            first += piece.rows;
            if whole {
                continue;
            }
            let (row, mut key, mut id) = starts[shard][number];
            for row in &index.rows[row..][..piece.rows as usize] {
                store
                    .keys
                    .extend(&index.keys[key..][..usize::from(row.keys)]);
                store.ids.push_str(&index.ids[id..][..usize::from(row.id)]);
                key += usize::from(row.keys);
                id += usize::from(row.id);
                store.rows.push(Row {
                    shard: shard as u16,
                    ..*row
                });
            }
        }
        let mut end = 0;
        store.id_ends = store
            .rows
            .iter()
            .map(|row| {
                end += u64::from(row.id);
                end
            })
            .collect();
        Ok(store)
    }

    /// Opens shards that were written apart.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Shards`] where they are not all the shards of one build.
    pub(crate) fn open(dirs: &[PathBuf]) -> Result<Store> {
        let read = |dir: &PathBuf| {
            let path = dir.join(INDEX);
            let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
            let index: Index = postcard::from_bytes(&bytes)
                .ok()
                .filter(|index: &Index| index.magic == INDEX_MAGIC)
                .ok_or_else(|| Error::Shards {
                    path,
                    expected: "a shard as `verdict build --shard` writes it".into(),
                    found: "something else, or another version's".into(),
                })?;
            Ok((dir.clone(), index))
        };
        let mut shards: Vec<(PathBuf, Index)> = dirs.iter().map(read).collect::<Result<_>>()?;
        shards.sort_by_key(|(_, index)| index.shard_settings.shard);
        check(&shards)?;
        Store::new(shards)
    }

    /// Writes the index beside the three files, last: its presence means that the shard is whole.
    pub(crate) fn seal(self) -> Result<()> {
        let dir = self.shards[0].dir.clone();
        let index = Index {
            magic: INDEX_MAGIC.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            shard_settings: self.shard_settings,
            inputs: self.inputs,
            tally: self.tally,
            pieces: self.pieces.into_iter().map(|(_, _, piece)| piece).collect(),
            rows: self.rows,
            keys: self.keys,
            ids: self.ids,
        };
        let bytes = postcard::to_stdvec(&index).expect("an index has only texts and numbers");
        crate::staging::write_file(&dir.join(INDEX), &bytes)
    }

    /// The name of a row.
    pub(crate) fn id(&self, row: u32) -> &str {
        let end = self.id_ends[row as usize] as usize;
        &self.ids[end - usize::from(self.rows[row as usize].id)..end]
    }

    /// Every key's hash with its row. Frees their memory.
    pub(crate) fn take_keys(&mut self) -> Vec<(u64, u32)> {
        let keys = std::mem::take(&mut self.keys);
        let rows = self.rows.iter().enumerate();
        let rows = rows.flat_map(|(n, row)| std::iter::repeat_n(n as u32, usize::from(row.keys)));
        keys.into_iter().zip(rows).collect()
    }

    /// The texts of a row.
    pub(crate) fn read(&self, row: u32) -> Result<StoredExample> {
        let row = &self.rows[row as usize];
        let files = &self.shards[usize::from(row.shard)];
        let mut bytes = vec![0; row.bytes as usize];
        files.read(ROWS, &files.texts, row.at, &mut bytes)?;
        postcard::from_bytes(&bytes).map_err(|error| Error::Shards {
            path: files.dir.join(ROWS),
            expected: "rows as the index has them".into(),
            found: error.to_string(),
        })
    }

    /// Takes the word pairs into memory if they fit into so many bytes beside the rows; where they do not, each
    /// comparison reads them from disk.
    pub(crate) fn hold(&mut self, memory: u64) -> Result<()> {
        let lengths = self.shards.iter().map(|files| {
            let path = files.dir.join(SHINGLES);
            Ok(files.shingles.metadata().map_err(Error::io(path))?.len())
        });
        let lengths: Vec<u64> = lengths.collect::<Result<_>>()?;
        let rows = ROW_BYTES * self.rows.len() as u64;
        if rows + lengths.iter().sum::<u64>() > memory {
            return Ok(());
        }
        let mut shards = self.shards.iter_mut().zip(lengths);
        shards.try_for_each(|(files, bytes)| files.hold(bytes))
    }

    /// Lets the word pairs go.
    pub(crate) fn release(&mut self) {
        for files in &mut self.shards {
            files.held = None;
        }
    }

    /// The word pairs of a text: those in memory, or as they are read into `page`.
    fn shingles<'a>(
        &'a self,
        row: u32,
        side: TextKind,
        page: &'a mut Vec<u32>,
    ) -> Result<&'a [u32]> {
        let row = &self.rows[row as usize];
        let files = &self.shards[usize::from(row.shard)];
        let (from, count) = match side {
            TextKind::Question => (row.shingles_at, row.question_shingles),
            TextKind::Rationale => (
                row.shingles_at + u64::from(row.question_shingles),
                row.rationale_shingles,
            ),
        };
        if let Some(held) = &files.held {
            return Ok(&held[from as usize..][..usize::from(count)]);
        }
        let mut bytes = vec![0; 4 * usize::from(count)];
        files.read(SHINGLES, &files.shingles, 4 * from, &mut bytes)?;
        page.clear();
        page.extend(numbers(&bytes));
        Ok(page)
    }
}

/// Shards of one build, all of them, each once.
fn check(shards: &[(PathBuf, Index)]) -> Result<()> {
    let fault = |n: usize, expected: String, found: String| {
        Err(Error::Shards {
            path: shards[n].0.clone(),
            expected,
            found,
        })
    };
    let (dir, first) = &shards[0];
    let (_, of) = first.shard_settings.shard;
    for (n, (_, index)) in shards.iter().enumerate() {
        let alike = ShardSettings {
            shard: first.shard_settings.shard,
            ..index.shard_settings.clone()
        };
        let files = |index: &Index| -> Vec<_> {
            let inputs = index.inputs.iter();
            inputs
                .map(|input| (input.record.source.clone(), input.record.files.clone()))
                .collect()
        };
        if index.version != first.version {
            return fault(
                n,
                format!("version {}", first.version),
                index.version.clone(),
            );
        }
        if alike != first.shard_settings || index.shard_settings.shard.1 != of {
            let found = "another seed, context, rules or number of shards";
            return fault(
                n,
                format!("the settings of {}", dir.display()),
                found.into(),
            );
        }
        if files(index) != files(first) {
            let found = "other sources or other files";
            return fault(n, format!("the sources of {}", dir.display()), found.into());
        }
        let expected = n as u32 + 1;
        if index.shard_settings.shard.0 != expected {
            let found = format!("shard {}", index.shard_settings.shard.0);
            return fault(n, format!("shard {expected} of {of}"), found);
        }
    }
    match shards.len() as u32 {
        given if given < of => fault(shards.len() - 1, format!("{of} shards"), given.to_string()),
        _ => Ok(()),
    }
}

/// What the sources gave to all shards together.
fn merged(indexes: &[Index]) -> Vec<Input> {
    let mut inputs = indexes[0].inputs.clone();
    for index in &indexes[1..] {
        for (all, of) in inputs.iter_mut().zip(&index.inputs) {
            all.record.add(&of.record);
        }
    }
    inputs
}
