//! Building and updating an index.
//!
//! A new index is made in a folder beside its own and renamed when it is whole. An update writes into the index itself;
//! the search engine publishes changes with a commit, and each commit carries the list of the files whose changes it
//! holds. Code that opens an index compares this list with the manifest, which is written last: a list that is longer is
//! that of an unfinished update.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::query::TermQuery;
use tantivy::schema::IndexRecordOption;
use tantivy::{Term, collector::Count};

use super::engine::{self, Progress};
use super::fields::{self, Fields, has_abstract};
use super::folder;
use super::id_set::IdSet;
use super::manifest::{Contents, Counts, IndexManifest, IndexedFile, SEGMENTS, partial};
use crate::{Change, Document, Error, FileRecord, Result};

/// A commit is made at the end of a file after so many documents, or after so much time.
const COMMIT_AFTER: (usize, Duration) = (300_000, Duration::from_secs(120));

/// Least memory for a thread that indexes, and most of a writer, in MiB, as the search engine has it.
const MEMORY_MIB: std::ops::RangeInclusive<usize> = 16..=4_000;

/// A segment of which a larger share was replaced or deleted is written anew.
const MOST_DELETED: f32 = 0.01;

/// How an index is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexSettings {
    /// Which documents it takes. An update keeps to those of the index.
    pub contents: Contents,
    /// Memory for documents that are not on disk yet, in MiB. The whole process takes about 400 MiB more.
    pub memory_mib: usize,
    /// Threads that analyze documents.
    pub threads: usize,
    /// Whether an index at the same place is replaced.
    pub overwrite: bool,
    /// Documents after which the end of a file is committed: what is read after the last commit is read again when a
    /// build is continued.
    pub commit_after: usize,
}

impl Default for IndexSettings {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            contents: Contents::default(),
            memory_mib: 256,
            threads: threads.min(8),
            overwrite: false,
            commit_after: COMMIT_AFTER.0,
        }
    }
}

/// An index that is being built or updated.
pub struct IndexWriter {
    /// The index.
    out: PathBuf,
    /// The folder that is written: the index itself, or one beside it.
    folder: PathBuf,
    fields: Fields,
    writer: tantivy::IndexWriter,
    seen: IdSet,
    progress: Progress,
    /// Files of earlier sessions, which need not be read again.
    known: usize,
    /// Since the end of the last file.
    file: IndexedCounts,
    /// Documents since the last commit.
    uncommitted: usize,
    last_commit: Instant,
    commit_after: usize,
}

#[derive(Default)]
struct IndexedCounts {
    put: usize,
    deleted: usize,
    left_out: usize,
}

impl IndexWriter {
    /// Begins an index at `out`, or continues one that was interrupted.
    ///
    /// # Errors
    /// The place is taken, another process is writing there, or the system fails.
    pub fn create(out: &Path, settings: &IndexSettings) -> Result<IndexWriter> {
        folder::check(out, settings.overwrite)?;
        let new = partial(out);
        let segments = new.join(SEGMENTS);
        std::fs::create_dir_all(&segments).map_err(Error::io(&segments))?;
        let fields = Fields::new();
        let directory = tantivy::directory::MmapDirectory::open(&segments)
            .map_err(|error| Error::engine(&new)(error.into()))?;
        let index = tantivy::Index::open_or_create(directory, fields.schema.clone());
        let index = match index {
            Ok(index) => index,
            // Of another version: nothing to continue.
            Err(tantivy::TantivyError::SchemaError(_)) => return begin_again(out, &new, settings),
            Err(error) => return Err(Error::engine(&new)(error)),
        };
        let writer = IndexWriter::over(index, out, new.clone(), settings)?;
        let known = &writer.progress;
        if known.contents != settings.contents && !known.files.is_empty() {
            drop(writer);
            return begin_again(out, &new, settings);
        }
        Ok(IndexWriter {
            progress: Progress {
                contents: settings.contents,
                ..writer.progress
            },
            ..writer
        })
    }

    /// Opens an index to read further files into it. It keeps to its own [`Contents`].
    ///
    /// # Errors
    /// There is no index, another process is writing it, or the system fails.
    pub fn update(out: &Path, settings: &IndexSettings) -> Result<IndexWriter> {
        let manifest = IndexManifest::read(out)?;
        let index = engine::engine(out)?;
        let writer = IndexWriter::over(index, out, out.to_owned(), settings)?;
        Ok(IndexWriter {
            progress: Progress {
                contents: manifest.contents,
                ..writer.progress
            },
            ..writer
        })
    }

    fn over(
        mut index: tantivy::Index,
        out: &Path,
        folder: PathBuf,
        settings: &IndexSettings,
    ) -> Result<IndexWriter> {
        let failed = || Error::engine(out);
        let threads = settings
            .threads
            .clamp(1, 8)
            .min(settings.memory_mib / MEMORY_MIB.start());
        if !MEMORY_MIB.contains(&settings.memory_mib) || threads == 0 {
            return Err(Error::IndexSetting {
                setting: "memory-mib",
                expected: format!("{} to {}", MEMORY_MIB.start(), MEMORY_MIB.end()),
                found: settings.memory_mib.to_string(),
            });
        }
        engine::register(&mut index);
        let options = IndexWriterOptions::builder()
            .num_worker_threads(threads)
            .memory_budget_per_thread((settings.memory_mib << 20) / threads)
            .num_merge_threads(1)
            .build();
        let writer: tantivy::IndexWriter = index.writer_with_options(options).map_err(failed())?;
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(MOST_DELETED);
        writer.set_merge_policy(Box::new(policy));
        let fields = Fields::new();
        let progress = engine::progress(&index).map_err(failed())?;
        Ok(IndexWriter {
            seen: ids(&index, &fields).map_err(failed())?,
            out: out.to_owned(),
            folder,
            fields,
            writer,
            known: progress.files.len(),
            progress,
            file: IndexedCounts::default(),
            uncommitted: 0,
            last_commit: Instant::now(),
            commit_after: settings.commit_after,
        })
    }

    /// Whether a file with these contents is in the index already, from the same kind of source.
    pub fn has(&self, source: &str, file: &FileRecord) -> bool {
        let same = |known: &IndexedFile| known.source == source && known.file.sha256 == file.sha256;
        self.progress.files[..self.known].iter().any(same)
    }

    /// Applies a change. It is in the index when the file's end is committed.
    ///
    /// # Errors
    /// The search engine cannot write.
    pub fn apply(&mut self, change: Change) -> Result<()> {
        match change {
            Change::Put(document) => self.put(&document),
            Change::Delete(id) => {
                self.file.deleted += 1;
                self.remove(&id);
                Ok(())
            }
        }
    }

    fn put(&mut self, document: &Document) -> Result<()> {
        let contents = self.progress.contents;
        // Also where the new version is left out: the old one does not hold any more.
        self.remove(&document.id);
        if (contents.leave_out_retracted && document.is_retracted())
            || (contents.with_abstract_only && !has_abstract(document))
        {
            self.file.left_out += 1;
            return Ok(());
        }
        self.file.put += 1;
        self.uncommitted += 1;
        let entry = self.fields.entry(document);
        let entry = entry.map_err(|error| Error::io(&self.out)(error.into()))?;
        self.writer
            .add_document(entry)
            .map_err(Error::engine(&self.out))?;
        Ok(())
    }

    /// Deleting what is not there would cost a look-up in every segment.
    fn remove(&mut self, id: &str) {
        if self.seen.insert(id) {
            self.writer.delete_term(self.fields.of_id(id));
        }
    }

    /// Ends a file: its changes are all applied.
    ///
    /// # Errors
    /// The search engine cannot write.
    pub fn end_file(&mut self, source: &str, file: FileRecord) -> Result<()> {
        let IndexedCounts {
            put,
            deleted,
            left_out,
        } = std::mem::take(&mut self.file);
        self.progress.files.push(IndexedFile {
            source: source.to_owned(),
            file,
            put,
            deleted,
            left_out,
        });
        match self.uncommitted >= self.commit_after || self.last_commit.elapsed() > COMMIT_AFTER.1 {
            true => self.commit(),
            false => Ok(()),
        }
    }

    fn commit(&mut self) -> Result<()> {
        let failed = || Error::engine(&self.out);
        let payload = serde_json::to_string(&self.progress)
            .map_err(|error| Error::io(&self.out)(error.into()))?;
        let mut commit = self.writer.prepare_commit().map_err(failed())?;
        commit.set_payload(&payload);
        commit.commit().map_err(failed())?;
        tracing::debug!(
            documents = self.uncommitted,
            files = self.progress.files.len(),
            "committed"
        );
        self.uncommitted = 0;
        self.last_commit = Instant::now();
        Ok(())
    }

    /// The files that are in the index, in the order in which they were read.
    pub fn files(&self) -> &[IndexedFile] {
        &self.progress.files
    }

    /// Ends the build: everything is on disk, the manifest is written, and a new index gets its name.
    ///
    /// # Errors
    /// The search engine or the system cannot write.
    pub fn finish(mut self) -> Result<IndexManifest> {
        self.commit()?;
        let IndexWriter {
            out,
            folder,
            fields,
            writer,
            progress,
            ..
        } = self;
        let index = writer.index().clone();
        writer.wait_merging_threads().map_err(Error::engine(&out))?;
        let counts = counts(&index, &fields).map_err(Error::engine(&out))?;
        let manifest = IndexManifest::new(progress.contents, counts, progress.files);
        manifest.write(&folder)?;
        if folder != out {
            folder::settle(&folder, &out)?;
        }
        Ok(manifest)
    }
}

/// Removes an unfinished index that cannot be continued, and begins a new one.
fn begin_again(out: &Path, partial: &Path, settings: &IndexSettings) -> Result<IndexWriter> {
    tracing::debug!(folder = %partial.display(), "an unfinished index of other settings is removed");
    folder::remove(partial)?;
    IndexWriter::create(out, settings)
}

/// All ids of an index, those of replaced and deleted documents too.
fn ids(index: &tantivy::Index, fields: &Fields) -> tantivy::Result<IdSet> {
    let mut ids = IdSet::default();
    for segment in engine::reader(index)?.searcher().segment_readers() {
        let inverted = segment.inverted_index(fields.id)?;
        let mut terms = inverted.terms().stream()?;
        while terms.advance() {
            if let Ok(id) = std::str::from_utf8(terms.key()) {
                ids.insert(id);
            }
        }
    }
    Ok(ids)
}

fn counts(index: &tantivy::Index, fields: &Fields) -> tantivy::Result<Counts> {
    let searcher = engine::reader(index)?.searcher();
    let with = |flag| {
        let term = Term::from_field_text(fields.flags, flag);
        searcher.search(&TermQuery::new(term, IndexRecordOption::Basic), &Count)
    };
    Ok(Counts {
        documents: searcher.num_docs() as usize,
        retracted: with(fields::RETRACTED)?,
        corrected: with(fields::CORRECTED)?,
        concern: with(fields::CONCERN)?,
        without_abstract: with(fields::NO_ABSTRACT)?,
    })
}
