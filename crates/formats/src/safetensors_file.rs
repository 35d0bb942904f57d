//! Tensor directories of safetensors files: one file, or shards with an index.

use crate::error::{Error, Result};
use crate::store::{Entry, Store};
use candle_core::quantized::GgmlDType;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Number formats a safetensors file may use here.
pub(crate) const DTYPES: &str = "F32, F16 or BF16";

/// Adds every tensor of one safetensors file to the store.
pub(crate) fn add_file(store: &mut Store, path: &Path) -> Result<()> {
    add_tensors(store, path, |_| true)
}

/// Adds the tensors of one file whose names `keep` wants.
fn add_tensors(store: &mut Store, path: &Path, keep: impl Fn(&str) -> bool) -> Result<()> {
    let file = store.map(path)?;
    let bytes = store.bytes(file);
    let (header, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|e| header_error(path, bytes, e))?;
    let mut entries = Vec::new();
    for (name, info) in metadata.tensors() {
        if !keep(&name) {
            continue;
        }
        let (start, end) = info.data_offsets;
        let entry = match info.dtype {
            Dtype::F32 => Ok(GgmlDType::F32),
            Dtype::F16 => Ok(GgmlDType::F16),
            Dtype::BF16 => Ok(GgmlDType::BF16),
            other => Err(format!("{other:?}")),
        }
        .map(|dtype| Entry {
            file,
            dtype,
            shape: info.shape.clone(),
            bytes: 8 + header + start..8 + header + end,
            own_name: None,
            rotary_heads: None,
        });
        entries.push((name, entry));
    }
    for (name, entry) in entries {
        match entry {
            Ok(entry) => store.insert(name, entry),
            // Not an error yet: it may be a buffer that is never read.
            Err(dtype) => store.insert_undecodable(name, file, dtype),
        }
    }
    Ok(())
}

/// Adds the tensors of all shards that an index names.
pub(crate) fn add_shards(store: &mut Store, index: &Path) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: Option<BTreeMap<String, String>>,
    }
    let text = std::fs::read(index).map_err(Error::io(index))?;
    let parsed: Index = serde_json::from_slice(&text).map_err(|source| Error::Json {
        path: index.to_path_buf(),
        source,
    })?;
    let map = parsed
        .weight_map
        .ok_or_else(|| Error::missing_key(index, "weight_map"))?;
    let folder = index.parent().unwrap_or(Path::new("."));
    for shard in map.values().collect::<BTreeSet<_>>() {
        if Path::new(shard).file_name() != Some(shard.as_ref()) {
            return Err(Error::bad_value(
                index,
                "weight_map",
                "plain file names",
                format!("`{shard}`"),
            ));
        }
        let path = folder.join(shard);
        if !path.is_file() {
            return Err(Error::MissingShard {
                path: index.to_path_buf(),
                shard: shard.clone(),
            });
        }
        // A tensor that is in two shards is read from the one that the index names.
        add_tensors(store, &path, |name| {
            map.get(name).is_none_or(|of| of == shard)
        })?;
    }
    match map.iter().find(|(name, _)| !store.knows(name)) {
        Some((name, shard)) => Err(Error::MissingTensor {
            path: folder.join(shard),
            name: name.clone(),
        }),
        None => Ok(()),
    }
}

/// The error for a header that cannot be read: distinguishes a truncated file from one that is not safetensors.
pub(crate) fn header_error(path: &Path, bytes: &[u8], error: SafeTensorError) -> Error {
    let truncated = |expected: u64| Error::Truncated {
        path: path.to_path_buf(),
        expected,
        found: bytes.len() as u64,
    };
    let header = bytes
        .first_chunk::<8>()
        .map(|n| u64::from_le_bytes(*n).saturating_add(8));
    match (error, header) {
        (SafeTensorError::HeaderTooSmall, _) | (_, None) => truncated(8),
        (SafeTensorError::InvalidHeaderLength, Some(end)) => truncated(end),
        (SafeTensorError::MetadataIncompleteBuffer, Some(end)) => {
            let parsed =
                serde_json::from_slice::<safetensors::tensor::Metadata>(&bytes[8..end as usize]);
            match parsed {
                Ok(metadata) if end + metadata.data_len() as u64 > bytes.len() as u64 => {
                    truncated(end + metadata.data_len() as u64)
                }
                Ok(metadata) => Error::Corrupt {
                    path: path.to_path_buf(),
                    format: "safetensors",
                    reason: format!(
                        "{} bytes follow the last tensor",
                        bytes.len() as u64 - end - metadata.data_len() as u64
                    ),
                },
                Err(source) => Error::Json {
                    path: path.to_path_buf(),
                    source,
                },
            }
        }
        (error, _) => Error::Corrupt {
            path: path.to_path_buf(),
            format: "safetensors",
            reason: error.to_string(),
        },
    }
}
