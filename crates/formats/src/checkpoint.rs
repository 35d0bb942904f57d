//! A model on disk: configuration, tokenizer and weights, from a Hugging Face folder or a GGUF file;
//! or one without a file, of random weights.

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::gguf::Gguf;
use crate::random::Random;
use crate::store::Store;
use crate::{config_json, extras, gguf, safetensors_file, tokenizer};
use std::ops::Range;
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

/// An opened model. Weights stay in their files (memory-mapped) until their rows are read.
///
/// Tensors go by Hugging Face's names in both formats: `model.embed_tokens.weight` `[V, H]`,
/// `model.layers.0.self_attn.q_proj.weight` `[heads × D, H]`, `model.norm.weight` `[H]`, and so on.
/// Opening checks that every tensor which [`ModelConfig::tensors`] names is there, in its shape and
/// in a number format that can be decoded, and that there is no other, except buffers that change
/// nothing.
#[derive(Debug)]
pub struct Checkpoint {
    /// The decoder's shape and constants.
    pub config: ModelConfig,
    path: PathBuf,
    store: Store,
    gguf: Option<Gguf>,
    /// In place of the store's tensors.
    random: Option<Random>,
}

impl Checkpoint {
    /// Opens a folder (`config.json`, `tokenizer.json`, `model.safetensors` or
    /// `model.safetensors.index.json` with its shards) or a `.gguf` file.
    ///
    /// # Errors
    /// Every variant of [`Error`] but those of adapters and [`Error::BadRows`].
    pub fn open(path: impl AsRef<Path>) -> Result<Checkpoint> {
        let path = path.as_ref();
        let found = std::fs::metadata(path).map_err(Error::io(path))?;
        let mut checkpoint = if found.is_dir() {
            Self::open_folder(path)?
        } else {
            Self::open_gguf(path)?
        };
        checkpoint.check()?;
        Ok(checkpoint)
    }

    /// A model of this shape without a file: matrices uniform with a standard deviation of 0.02, norms
    /// 1, the same for the same seed. Rows are made when they are read. For measurements, since speed
    /// does not depend on what the weights are; there is no tokenizer.
    pub fn random(config: ModelConfig, seed: u64) -> Checkpoint {
        Checkpoint {
            random: Some(Random::new(&config, seed)),
            config,
            path: "random weights".into(),
            store: Store::default(),
            gguf: None,
        }
    }

    fn open_folder(path: &Path) -> Result<Checkpoint> {
        const EXPECTED: &str =
            "config.json beside model.safetensors or model.safetensors.index.json";
        let not_here = |found: String| Error::NotACheckpoint {
            path: path.to_path_buf(),
            expected: EXPECTED,
            found,
        };
        let config_path = path.join("config.json");
        if !config_path.is_file() {
            return Err(not_here(listing(path)?));
        }
        let config = config_json::read(&config_path)?;
        let mut store = Store::default();
        let single = path.join("model.safetensors");
        let index = path.join("model.safetensors.index.json");
        if index.is_file() {
            safetensors_file::add_shards(&mut store, &index)?;
        } else if single.is_file() {
            safetensors_file::add_file(&mut store, &single)?;
        } else {
            return Err(not_here(listing(path)?));
        }
        Ok(Checkpoint {
            config,
            path: path.to_path_buf(),
            store,
            gguf: None,
            random: None,
        })
    }

    fn open_gguf(path: &Path) -> Result<Checkpoint> {
        let mut store = Store::default();
        let file = store.map(path)?;
        let gguf = Gguf::read(path, store.bytes(file))?;
        let config = gguf.add_to(&mut store, file)?;
        Ok(Checkpoint {
            config,
            path: path.to_path_buf(),
            store,
            gguf: Some(gguf),
            random: None,
        })
    }

    /// Compares the tensors in the files with those that the configuration requires.
    fn check(&mut self) -> Result<()> {
        for (name, expected) in self.config.tensors() {
            if let Some((path, dtype)) = self.store.undecodable(&name) {
                return Err(Error::UnknownDtype {
                    path: path.to_path_buf(),
                    name,
                    found: dtype.to_string(),
                    expected: safetensors_file::DTYPES,
                });
            }
            let Some(entry) = self.store.get(&name) else {
                return Err(Error::MissingTensor {
                    path: self.path.clone(),
                    name,
                });
            };
            if entry.shape != expected {
                return Err(Error::WrongShape {
                    path: self.store.path(entry.file).to_path_buf(),
                    name,
                    expected,
                    found: entry.shape.clone(),
                });
            }
        }
        let layers = match &self.gguf {
            Some(_) => gguf::BLOCKS,
            None => config_json::LAYERS,
        };
        extras::refuse(&mut self.store, &self.config, &self.path, layers)
    }

    /// The folder or file that was opened; `random weights` where there is none.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Builds the tokenizer: from `tokenizer.json`, or from the GGUF file's own vocabulary.
    ///
    /// Encode a prompt with `add_special_tokens` true: the post-processor then puts the
    /// begin-of-text token in front where the family has one (Llama 3), and nothing elsewhere.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Tokenizer`], [`Error::MissingKey`] or [`Error::BadValue`].
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        match &self.gguf {
            Some(gguf) => tokenizer::from_gguf(gguf),
            None => tokenizer::from_json(&self.path.join("tokenizer.json")),
        }
    }

    /// Shape of a tensor, row-major, or `None` where there is no such tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        match &self.random {
            Some(random) => random.shape(name),
            None => self.store.get(name).map(|e| e.shape.as_slice()),
        }
    }

    /// Names of all tensors that can be read, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = match &self.random {
            Some(random) => random.names().collect(),
            None => self.store.iter().map(|(name, _)| name).collect(),
        };
        names.sort_unstable();
        names
    }

    /// Name of a tensor's stored number format, as GGUF calls it (`F32`, `BF16`, `Q4_1`, …).
    pub fn dtype(&self, name: &str) -> Option<String> {
        match &self.random {
            Some(random) => random.shape(name).map(|_| "F32".to_string()),
            None => self.store.get(name).map(|e| format!("{:?}", e.dtype)),
        }
    }

    /// Decodes rows `rows` of tensor `name` into `out`, row-major, as f32.
    ///
    /// `out` holds `rows.len()` × columns numbers. A vector of shape `[n]` is one row, `0..1`.
    /// Cheap to call from many threads at once, each for its own rows.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] or [`Error::BadRows`].
    pub fn read_rows(&self, name: &str, rows: Range<usize>, out: &mut [f32]) -> Result<()> {
        match &self.random {
            Some(random) => random.read_rows(&self.path, name, rows, out),
            None => self.store.read_rows(&self.path, name, rows, out),
        }
    }
}

/// The first names in a folder, for an error's text.
fn listing(path: &Path) -> Result<String> {
    let mut names: Vec<String> = std::fs::read_dir(path)
        .map_err(Error::io(path))?
        .filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort_unstable();
    Ok(match names.len() {
        0 => "an empty folder".to_string(),
        1..=6 => names.join(", "),
        more => format!("{} and {} more", names[..6].join(", "), more - 6),
    })
}
