//! Memory-mapped files and the directory of the tensors in them.

use crate::error::{Error, Result};
use crate::to_f32;
use candle_core::quantized::GgmlDType;
use memmap2::Mmap;
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Where a tensor lies and how its numbers are stored.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Number of the mapped file.
    pub(crate) file: usize,
    /// Number format.
    pub(crate) dtype: GgmlDType,
    /// Shape, row-major.
    pub(crate) shape: Vec<usize>,
    /// Bytes of the file.
    pub(crate) bytes: Range<usize>,
    /// The name in the file, where it is another than Hugging Face's.
    pub(crate) own_name: Option<String>,
    /// Heads whose rows llama.cpp interleaved for its own rotary kernel; see [`rotary_row`].
    pub(crate) rotary_heads: Option<usize>,
}

/// Mapped files and the tensors in them, under Hugging Face's names.
#[derive(Debug, Default)]
pub(crate) struct Store {
    files: Vec<(PathBuf, Mmap)>,
    tensors: HashMap<String, Entry>,
    undecodable: HashMap<String, (usize, String)>,
}

impl Store {
    /// Maps a file and returns its number.
    pub(crate) fn map(&mut self, path: &Path) -> Result<usize> {
        let file = File::open(path).map_err(Error::io(path))?;
        // SAFETY: the map is read-only. A program that overwrites a model file in place while it is in
        // use breaks it for every program that maps it; Verdict renames finished files instead.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
        self.files.push((path.to_path_buf(), map));
        Ok(self.files.len() - 1)
    }

    /// The mapped bytes of a file.
    pub(crate) fn bytes(&self, file: usize) -> &[u8] {
        &self.files[file].1
    }

    /// The path of a file.
    pub(crate) fn path(&self, file: usize) -> &Path {
        &self.files[file].0
    }

    pub(crate) fn insert(&mut self, name: String, entry: Entry) {
        self.tensors.insert(name, entry);
    }

    /// Notes a tensor whose number format cannot be decoded.
    pub(crate) fn insert_undecodable(&mut self, name: String, file: usize, dtype: String) {
        self.undecodable.insert(name, (file, dtype));
    }

    /// Names of all tensors, decodable or not, in no order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let all = self.tensors.keys().chain(self.undecodable.keys());
        all.map(String::as_str)
    }

    /// What a tensor's file calls it.
    pub(crate) fn own_name<'s>(&'s self, name: &'s str) -> &'s str {
        let entry = self.tensors.get(name);
        entry.and_then(|e| e.own_name.as_deref()).unwrap_or(name)
    }

    /// Keeps only the tensors of these names.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.tensors.retain(|name, _| keep(name));
        self.undecodable.retain(|name, _| keep(name));
    }

    /// Whether any file has such a tensor, decodable or not.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.undecodable.contains_key(name)
    }

    /// Path and number format of a tensor that is there but cannot be decoded.
    pub(crate) fn undecodable(&self, name: &str) -> Option<(&Path, &str)> {
        let (file, dtype) = self.undecodable.get(name)?;
        Some((self.path(*file), dtype))
    }

    /// Name and number format of a tensor that cannot be decoded, if any.
    pub(crate) fn first_undecodable(&self) -> Option<(&str, &str)> {
        let (name, (_, dtype)) = self.undecodable.iter().min_by_key(|(name, _)| *name)?;
        Some((name, dtype))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.tensors.get(name)
    }

    /// All decodable tensors, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.tensors.iter().map(|(n, e)| (n.as_str(), e))
    }

    /// Decodes rows of a tensor; see [`crate::Checkpoint::read_rows`].
    pub(crate) fn read_rows(
        &self,
        path: &Path,
        name: &str,
        rows: Range<usize>,
        out: &mut [f32],
    ) -> Result<()> {
        let entry = self.get(name).ok_or_else(|| Error::MissingTensor {
            path: path.to_path_buf(),
            name: name.to_string(),
        })?;
        let (count, columns) = matrix(&entry.shape);
        if rows.start > rows.end
            || rows.end > count
            || (rows.end - rows.start) * columns != out.len()
        {
            return Err(Error::BadRows {
                path: self.path(entry.file).to_path_buf(),
                name: name.to_string(),
                shape: entry.shape.clone(),
                start: rows.start,
                end: rows.end,
                len: out.len(),
            });
        }
        if out.is_empty() {
            return Ok(());
        }
        let bytes = &self.bytes(entry.file)[entry.bytes.clone()];
        let row_bytes = bytes.len() / count;
        let Some(heads) = entry.rotary_heads else {
            to_f32::decode(
                entry.dtype,
                &bytes[rows.start * row_bytes..rows.end * row_bytes],
                out,
            );
            return Ok(());
        };
        for (row, out) in rows.zip(out.chunks_exact_mut(columns)) {
            let stored = rotary_row(row, count / heads);
            let bytes = &bytes[stored * row_bytes..(stored + 1) * row_bytes];
            to_f32::decode(entry.dtype, bytes, out);
        }
        Ok(())
    }
}

/// Rows and columns of a shape: all dimensions but the first make a row; a vector is one row.
pub(crate) fn matrix(shape: &[usize]) -> (usize, usize) {
    match shape {
        [] => (1, 1),
        [n] => (1, *n),
        [rows, rest @ ..] => (*rows, rest.iter().product()),
    }
}

/// Where llama.cpp stores row `row` of a query or key matrix with heads of `head` rows.
///
/// Its converter turns each head's two rotary halves, `[2, D/2]`, into pairs, `[D/2, 2]`
/// (`LlamaModel.permute` in `convert_hf_to_gguf.py`).
pub(crate) fn rotary_row(row: usize, head: usize) -> usize {
    let (base, within) = (row / head * head, row % head);
    let half = head / 2;
    base + within % half * 2 + within / half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotary_rows_interleave_the_halves_of_each_head() {
        // numpy: np.arange(8).reshape(2, 2, 2).swapaxes(1, 2).reshape(8) = where each stored row
        // came from, for 2 heads of 4 rows.
        let came_from = [0, 2, 1, 3, 4, 6, 5, 7];
        for (stored, row) in came_from.into_iter().enumerate() {
            assert_eq!(rotary_row(row, 4), stored);
        }
    }

    #[test]
    fn rotary_rows_are_a_permutation_inside_each_head() {
        let mut seen: Vec<usize> = (0..192).map(|row| rotary_row(row, 64)).collect();
        assert!(seen.iter().enumerate().all(|(i, s)| i / 64 == s / 64));
        seen.sort_unstable();
        assert_eq!(seen, (0..192).collect::<Vec<_>>());
    }
}
