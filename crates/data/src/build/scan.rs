//! The first half of a build: every source is read, its rows are cleaned one by one, and what is kept is stored on
//! disk. Pieces are read on one thread and cleaned on all, in bounded numbers.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

use rayon::prelude::*;

use super::rules::{CleanedExample, Tally, clean};
use super::settings::BuildSettings;
use super::store::{Block, Input, ShardSettings, Store, Writer};
use crate::manifest::{FileRecord, SourceRecord, label_counts};
use crate::sources::{self, Piece, Reading};
use crate::{Error, Label, Result};

/// Pieces that are cleaned at once, for each thread.
const AT_ONCE: usize = 8;

/// Which of how many equal parts of the input is read: number from 1, and count.
pub type Shard = (u32, u32);

/// A piece on its way: the source's number, the piece's number in the build.
struct Numbered {
    source: u16,
    number: u32,
    piece: Piece,
}

/// What came of a piece.
struct Cleaned {
    source: u16,
    number: u32,
    block: Block,
    tally: Tally,
    read: usize,
    passed_over: usize,
    labels: [usize; 3],
}

/// Reads the shard's share of every source into `dir`.
pub(crate) fn scan(settings: &BuildSettings, dir: &Path, shard: Shard) -> Result<Store> {
    let shard_settings = ShardSettings {
        seed: settings.seed,
        context: settings.context.as_ref().map(ToString::to_string),
        rules: settings.rules.text().map(str::to_owned),
        shard,
    };
    let mut writer = Writer::new(dir, shard_settings)?;
    let mut records: Vec<SourceRecord> = settings
        .sources
        .iter()
        .map(|input| SourceRecord::new(input.source.kind()))
        .collect();
    let mut tally = Tally::default();
    let at_once = AT_ONCE * rayon::current_num_threads();
    let (sender, receiver) = sync_channel(at_once);
    let reading = Reading {
        seed: settings.seed,
        contexts: settings.context.is_some(),
        rationales: true,
    };
    let files = std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut number = 0;
            let mut files = Vec::new();
            for (source, input) in settings.sources.iter().enumerate() {
                let mut hand_on = |piece| {
                    let ours = number % shard.1 == shard.0 - 1;
                    number += 1;
                    // The receiver is gone where a piece had a fault, which is reported there.
                    match ours
                        && sender
                            .send(Numbered {
                                source: source as u16,
                                number: number - 1,
                                piece,
                            })
                            .is_err()
                    {
                        true => Err(Error::Stopped),
                        false => Ok(()),
                    }
                };
                files.push(sources::read(input, reading, &mut hand_on)?);
            }
            Ok(files)
        });
        let cleaned = take(receiver, at_once, settings, |cleaned| {
            let record = &mut records[usize::from(cleaned.source)];
            record.rows += cleaned.read;
            record.passed_over += cleaned.passed_over;
            for label in Label::ALL {
                *record.labels.entry(label).or_default() += cleaned.labels[label.index()];
            }
            tally.add(cleaned.tally);
            writer.append(cleaned.number, cleaned.source, cleaned.block)
        });
        let files: Result<Vec<Vec<FileRecord>>> = reader
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (cleaned, files) {
            // A row's fault is reported rather than that of the file behind it.
            (Err(fault), _) => Err(fault),
            (Ok(()), files) => files,
        }
    })?;
    let inputs = settings.sources.iter().zip(records).zip(files);
    let inputs = inputs.map(|((input, mut record), files)| {
        record.files = files;
        record.hub.clone_from(&input.hub);
        Input {
            text: input.to_string(),
            record,
        }
    });
    writer.finish(inputs.collect(), tally)
}

/// Cleans what comes, some pieces at once, and hands it on in order.
fn take(
    receiver: Receiver<Numbered>,
    at_once: usize,
    settings: &BuildSettings,
    mut done: impl FnMut(Cleaned) -> Result<()>,
) -> Result<()> {
    loop {
        let pieces: Vec<Numbered> = receiver.iter().take(at_once).collect();
        if pieces.is_empty() {
            return Ok(());
        }
        let cleaned: Vec<Result<Cleaned>> = pieces
            .into_par_iter()
            .map(|piece| cleaned(piece, settings))
            .collect();
        // The first fault in the order of the rows, whichever thread was faster.
        for piece in cleaned {
            done(piece?)?;
        }
    }
}

fn cleaned(piece: Numbered, settings: &BuildSettings) -> Result<Cleaned> {
    let rows = (piece.piece)()?;
    let labels = label_counts(rows.rows.iter().filter_map(|row| row.label));
    let read = rows.rows.len();
    let mut tally = Tally::default();
    let mut kept: Vec<CleanedExample> = Vec::with_capacity(read);
    for row in rows.rows {
        let (row, touched) = clean(row, settings, &mut |_, _, _| {});
        tally.add(touched);
        kept.extend(row);
    }
    Ok(Cleaned {
        source: piece.source,
        number: piece.number,
        block: Block::of(&kept, piece.source),
        tally,
        read,
        passed_over: rows.passed_over,
        labels: Label::ALL.map(|label| labels[&label]),
    })
}
