//! A LoRA adapter in PEFT's folder layout: `adapter_config.json` and `adapter_model.safetensors`.

use crate::adapter_config::AdapterConfig;
use crate::error::{Error, Result};
use crate::safetensors_file::{self, DTYPES};
use crate::store::{Store, matrix};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const PREFIX: &str = "base_model.model.";
const NAMES: &str = "base_model.model.<module>.lora_A.weight or lora_B.weight";

/// A LoRA adapter in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// Rank, alpha, dropout, adapted modules.
    pub config: AdapterConfig,
    /// Matrices by name, without PEFT's prefix: `model.layers.0.self_attn.q_proj.lora_A.weight`
    /// `[r, in]` and `….lora_B.weight` `[out, r]`.
    pub tensors: BTreeMap<String, AdapterTensor>,
}

/// One matrix of an adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterTensor {
    /// `[r, in]` for A, `[out, r]` for B.
    pub shape: Vec<usize>,
    /// The numbers, row-major.
    pub data: Vec<f32>,
}

impl Adapter {
    /// Reads a folder that PEFT or Verdict wrote. F32, F16 and BF16 weights become f32.
    ///
    /// # Errors
    /// A file that is missing, cut short or broken; a setting Verdict does not do
    /// ([`Error::Unsupported`]); a tensor of another name, shape or number format, without its
    /// partner, or with a NaN or an infinity.
    pub fn read(dir: impl AsRef<Path>) -> Result<Adapter> {
        let dir = dir.as_ref();
        let (weights, old) = (dir.join(WEIGHTS), dir.join("adapter_model.bin"));
        let (mut config, pattern) = AdapterConfig::read(&dir.join(CONFIG))?;
        if !weights.is_file() && old.is_file() {
            return Err(Error::unsupported(
                &old,
                "a pickled adapter",
                "save it with safe_serialization=True",
            ));
        }
        let mut store = Store::default();
        safetensors_file::add_file(&mut store, &weights)?;
        if let Some((name, dtype)) = store.first_undecodable() {
            return Err(Error::UnknownDtype {
                path: weights,
                name: name.to_string(),
                found: dtype.to_string(),
                expected: DTYPES,
            });
        }
        let mut tensors = BTreeMap::new();
        for (name, entry) in store.iter() {
            let short = name
                .strip_prefix(PREFIX)
                .ok_or_else(|| Error::UnexpectedTensor {
                    path: weights.clone(),
                    name: name.to_string(),
                    expected: NAMES,
                })?;
            let (rows, columns) = matrix(&entry.shape);
            let mut data = vec![0.0; rows * columns];
            store.read_rows(&weights, name, 0..rows, &mut data)?;
            let shape = entry.shape.clone();
            tensors.insert(short.to_string(), AdapterTensor { shape, data });
        }
        if pattern {
            config.target_modules = modules(&tensors);
        }
        let adapter = Adapter { config, tensors };
        adapter.check(&weights)?;
        Ok(adapter)
    }

    /// Writes the folder, creating it if need be. Weights are F32; the same adapter gives the same
    /// bytes. Each file appears under its name only when it is complete, the configuration last.
    ///
    /// # Errors
    /// [`Error::Io`], or what [`Adapter::read`] would refuse in the tensors.
    pub fn write(&self, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        let weights = dir.join(WEIGHTS);
        self.check(&weights)?;
        std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
        let bytes: BTreeMap<String, (&AdapterTensor, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, t)| {
                let data = t.data.iter().flat_map(|x| x.to_le_bytes()).collect();
                (format!("{PREFIX}{name}"), (t, data))
            })
            .collect();
        let broken = |e: safetensors::SafeTensorError| Error::Corrupt {
            path: weights.clone(),
            format: "safetensors",
            reason: e.to_string(),
        };
        let views = bytes
            .iter()
            .map(|(name, (t, data))| {
                Ok((name, TensorView::new(Dtype::F32, t.shape.clone(), data)?))
            })
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(broken)?;
        // PEFT's own mark; transformers refuses files without it.
        let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
        let file = safetensors::serialize(views, Some(metadata)).map_err(broken)?;
        write_whole(&weights, &file)?;
        write_whole(&dir.join(CONFIG), self.config.to_json().as_bytes())
    }

    /// Checks names, shapes, partners and numbers.
    fn check(&self, path: &Path) -> Result<()> {
        let r = self.config.r.max(1);
        for (name, tensor) in &self.tensors {
            let (module, side) = split_name(name).ok_or_else(|| Error::UnexpectedTensor {
                path: path.to_path_buf(),
                name: name.clone(),
                expected: NAMES,
            })?;
            let partner = format!("{module}.lora_{}.weight", side.other());
            if !self.tensors.contains_key(&partner) {
                return Err(Error::MissingTensor {
                    path: path.to_path_buf(),
                    name: format!("{PREFIX}{partner}"),
                });
            }
            let found = &tensor.shape;
            let expected = match (side, found.as_slice()) {
                (Side::A, [rank, columns]) if *rank != r => Some(vec![r, *columns]),
                (Side::B, [rows, rank]) if *rank != r => Some(vec![*rows, r]),
                (_, [rows, columns]) => {
                    (rows * columns != tensor.data.len()).then(|| vec![tensor.data.len()])
                }
                (Side::A, _) => Some(vec![r, found.iter().product::<usize>() / r]),
                (Side::B, _) => Some(vec![found.iter().product::<usize>() / r, r]),
            };
            if let Some(expected) = expected {
                return Err(Error::WrongShape {
                    path: path.to_path_buf(),
                    name: name.clone(),
                    expected,
                    found: found.clone(),
                });
            }
            if let Some(index) = tensor.data.iter().position(|x| !x.is_finite()) {
                return Err(Error::NotFinite {
                    path: path.to_path_buf(),
                    name: name.clone(),
                    index,
                    found: tensor.data[index],
                });
            }
        }
        if self.tensors.is_empty() {
            return Err(Error::MissingTensor {
                path: path.to_path_buf(),
                name: NAMES.to_string(),
            });
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Side {
    A,
    B,
}

impl Side {
    fn other(self) -> char {
        match self {
            Side::A => 'B',
            Side::B => 'A',
        }
    }
}

/// Module and side of `<module>.lora_A.weight`.
fn split_name(name: &str) -> Option<(&str, Side)> {
    let a = name.strip_suffix(".lora_A.weight").map(|m| (m, Side::A));
    a.or_else(|| name.strip_suffix(".lora_B.weight").map(|m| (m, Side::B)))
}

/// Last names of the modules that have tensors, sorted.
fn modules(tensors: &BTreeMap<String, AdapterTensor>) -> Vec<String> {
    let names: BTreeSet<&str> = tensors
        .keys()
        .filter_map(|name| split_name(name)?.0.rsplit('.').next())
        .collect();
    names.into_iter().map(str::to_string).collect()
}

/// Writes beside, then renames.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let written = std::fs::File::create(&partial).and_then(|mut file| {
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()
    });
    written.map_err(|e| {
        // A full disk leaves a useless rest; the error is what matters.
        let _ = std::fs::remove_file(&partial);
        Error::io(&partial)(e)
    })?;
    std::fs::rename(&partial, path).map_err(Error::io(path))
}
