//! The files of a source into an index: those that it does not have yet, in their order.

use std::path::{Path, PathBuf};

use super::writer::IndexWriter;
use crate::{Change, LiteratureSource, Result, SourceKind, file_record};

/// What was read of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceRead {
    /// Files read now.
    pub read: usize,
    /// Files that were in the index already.
    pub known: usize,
    /// Changes, documents and deletions, of the files read.
    pub changes: usize,
}

impl IndexWriter {
    /// Reads the files of a source that are not in the index yet. `watch` sees each file when it begins (`None`) and
    /// after each change (the number so far), and can end the reading with an error.
    ///
    /// A file counts as known if one with the same bytes was read from the same kind of source, whatever its name.
    /// BioASQ's snippets of one document are spread over files, which are therefore read together.
    ///
    /// # Errors
    /// Every fault of a file, of the index, and those of `watch`.
    pub fn read(
        &mut self,
        source: &LiteratureSource,
        watch: &mut dyn FnMut(&Path, Option<usize>) -> Result<()>,
    ) -> Result<SourceRead> {
        let name = name(source);
        let mut result = SourceRead::default();
        let mut together: Vec<PathBuf> = Vec::new();
        for path in source.files()? {
            watch(&path, None)?;
            if self.has(&name, &file_record(&path)?) {
                result.known += 1;
            } else if source.kind == SourceKind::Bioasq {
                together.push(path);
            } else {
                self.read_files(source, &name, &[path], watch, &mut result)?;
            }
        }
        if !together.is_empty() {
            self.read_files(source, &name, &together, watch, &mut result)?;
        }
        Ok(result)
    }

    fn read_files(
        &mut self,
        source: &LiteratureSource,
        name: &str,
        files: &[PathBuf],
        watch: &mut dyn FnMut(&Path, Option<usize>) -> Result<()>,
        result: &mut SourceRead,
    ) -> Result<()> {
        let mut emit = |change: Change| {
            result.changes += 1;
            watch(&files[0], Some(result.changes))?;
            self.apply(change)
        };
        let records = source.read_files(files, &mut emit)?;
        result.read += records.len();
        for record in records {
            self.end_file(name, record)?;
        }
        Ok(())
    }
}

/// The source without its path: what its files are read as.
fn name(source: &LiteratureSource) -> String {
    let bare = LiteratureSource {
        path: PathBuf::new(),
        ..source.clone()
    };
    bare.to_string().replacen(':', "", 1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn files_are_known_by_kind_and_options() {
        for (source, name) in [
            ("pubmed:baseline", "pubmed"),
            (
                "pubmedqa-labeled:a.json?title=no",
                "pubmedqa-labeled?title=no",
            ),
            ("csv:a.csv?id=pmid", "csv?id=pmid"),
        ] {
            assert_eq!(super::name(&source.parse().expect("good")), name);
        }
    }
}
