//! Named rows of numbers in a safetensors file: the state that a training run needs to resume.
//!
//! Nothing of a model: no shapes beyond a length, no conversion. What is read is what was written, to
//! the bit, NaN and infinity included.

use crate::error::{Error, Result};
use crate::safetensors_file::header_error;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::Path;

/// One row of numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
}

/// Rows of numbers by name.
pub type Arrays = BTreeMap<String, Array>;

/// The rows as the bytes of a safetensors file. The same rows give the same bytes.
///
/// # Errors
/// [`Error::Corrupt`] for rows that the format cannot hold.
pub fn arrays_to_bytes(arrays: &Arrays, path: &Path) -> Result<Vec<u8>> {
    let encoded: Vec<(&String, Dtype, usize, Vec<u8>)> = arrays
        .iter()
        .map(|(name, array)| match array {
            Array::F32(row) => {
                let bytes = row.iter().flat_map(|x| x.to_le_bytes()).collect();
                (name, Dtype::F32, row.len(), bytes)
            }
            Array::F64(row) => {
                let bytes = row.iter().flat_map(|x| x.to_le_bytes()).collect();
                (name, Dtype::F64, row.len(), bytes)
            }
        })
        .collect();
    let broken = |error: safetensors::SafeTensorError| Error::Corrupt {
        path: path.to_path_buf(),
        format: "safetensors",
        reason: error.to_string(),
    };
    let views = encoded
        .iter()
        .map(|(name, dtype, len, bytes)| Ok((*name, TensorView::new(*dtype, vec![*len], bytes)?)))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(broken)?;
    safetensors::serialize(views, None).map_err(broken)
}

/// Reads what [`arrays_to_bytes`] made; `path` is for error texts.
///
/// # Errors
/// A file that is cut short or broken, or that holds other numbers.
pub fn arrays_from_bytes(bytes: &[u8], path: &Path) -> Result<Arrays> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| header_error(path, bytes, error))?;
    let mut arrays = Arrays::new();
    for (name, view) in file.iter() {
        let data = view.data();
        let array = match view.dtype() {
            Dtype::F32 => Array::F32(
                data.as_chunks()
                    .0
                    .iter()
                    .map(|b| f32::from_le_bytes(*b))
                    .collect(),
            ),
            Dtype::F64 => Array::F64(
                data.as_chunks()
                    .0
                    .iter()
                    .map(|b| f64::from_le_bytes(*b))
                    .collect(),
            ),
            other => {
                return Err(Error::UnknownDtype {
                    path: path.to_path_buf(),
                    name: name.to_owned(),
                    found: format!("{other:?}"),
                    expected: "F32 or F64",
                });
            }
        };
        arrays.insert(name.to_owned(), array);
    }
    Ok(arrays)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrays() -> Arrays {
        let odd = f32::from_bits(0x7fc0_1234);
        Arrays::from([
            (
                "m".into(),
                Array::F32(vec![1.5, -0.0, f32::NEG_INFINITY, odd]),
            ),
            ("loss".into(), Array::F64(vec![0.1, f64::NAN])),
            ("none".into(), Array::F32(Vec::new())),
        ])
    }

    #[test]
    fn what_is_read_is_what_was_written_to_the_bit() {
        let path = Path::new("state.safetensors");
        let bytes = arrays_to_bytes(&arrays(), path).unwrap();
        let found = arrays_from_bytes(&bytes, path).unwrap();
        assert_eq!(arrays_to_bytes(&found, path).unwrap(), bytes);
        let Array::F32(row) = &found["m"] else {
            panic!("{found:?}")
        };
        let bits: Vec<u32> = row.iter().map(|x| x.to_bits()).collect();
        assert_eq!(bits, [0x3fc0_0000, 0x8000_0000, 0xff80_0000, 0x7fc0_1234]);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["loss", "m", "none"]);
    }

    #[test]
    fn a_file_cut_short_or_of_other_numbers_is_named() {
        let path = Path::new("state.safetensors");
        let bytes = arrays_to_bytes(&arrays(), path).unwrap();
        for len in 0..bytes.len() {
            let error = arrays_from_bytes(&bytes[..len], path)
                .unwrap_err()
                .to_string();
            assert!(error.starts_with("state.safetensors: "), "{len}: {error}");
        }
        let view = TensorView::new(Dtype::U8, vec![1], &[7]).unwrap();
        let other = safetensors::serialize([("x", view)], None).unwrap();
        let error = arrays_from_bytes(&other, path).unwrap_err().to_string();
        assert!(
            error.contains("U8") && error.contains("F32 or F64"),
            "{error}"
        );
    }
}
