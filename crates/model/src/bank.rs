//! The bank: LoRA adapters of different ranks over one base (Hu et al. 2021; `y = W x + α/r · B A x`).

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use verdict_common::random::SplitMix64;
use verdict_formats::{Adapter, AdapterConfig, AdapterTensor, ModelConfig, Targets};

use crate::error::{Error, Result};
use crate::site::Site;

/// An adapter to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterSpec {
    /// Unique name.
    pub name: String,
    /// r.
    pub rank: usize,
    /// α; the update is multiplied by α/r.
    pub alpha: f32,
    /// Probability with which an input of A is dropped in training.
    pub dropout: f32,
    /// Seed of A and of the dropout masks.
    pub seed: u64,
}

/// Adapters that share a frozen base.
#[derive(Clone, Debug, Default)]
pub struct AdapterBank {
    pub(crate) adapters: Vec<BankAdapter>,
    /// Changes whenever an adapter does: banks of one version hold the same numbers.
    version: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct BankAdapter {
    pub(crate) spec: AdapterSpec,
    /// α/r.
    pub(crate) scale: f32,
    /// All weights; [`SiteRanges`] says where each matrix is.
    pub(crate) weights: Vec<f32>,
    /// `[layer * 4 + site]`
    pub(crate) sites: Vec<SiteRanges>,
}

/// Where the matrices of one site are.
#[derive(Clone, Debug)]
pub(crate) struct SiteRanges {
    /// The A of all parts, stacked: `[parts · r, in]`.
    pub(crate) a: Range<usize>,
    /// Each part's B, transposed: `[r, out]`.
    pub(crate) b: Vec<Range<usize>>,
}

/// One adapted projection.
struct Module {
    /// Hugging Face's name: `model.layers.0.self_attn.q_proj`.
    name: String,
    inputs: usize,
    outputs: usize,
    /// Where A `[r, in]` is.
    a: Range<usize>,
    /// Where B, transposed, is: `[r, out]`.
    b: Range<usize>,
}

impl BankAdapter {
    fn new(config: &ModelConfig, spec: AdapterSpec) -> Self {
        let mut at = 0;
        let mut take = |len: usize| {
            at += len;
            at - len..at
        };
        let mut sites = Vec::new();
        for _ in 0..config.num_hidden_layers {
            for site in Site::ALL {
                let parts = site.parts(config);
                let a = take(parts.len() * spec.rank * site.inputs(config));
                sites.push(SiteRanges {
                    a,
                    b: parts.iter().map(|(_, n)| take(spec.rank * n)).collect(),
                });
            }
        }
        Self {
            scale: spec.alpha / spec.rank as f32,
            weights: verdict_kernels::zeros(at),
            sites,
            spec,
        }
    }

    /// Numbers of its weights.
    pub(crate) fn len(&self) -> usize {
        let last = |s: &SiteRanges| s.b.last().map_or(s.a.end, |b| b.end);
        self.sites.last().map_or(0, last)
    }

    /// The same layout without the numbers.
    pub(crate) fn without_weights(&self) -> Self {
        Self {
            spec: self.spec.clone(),
            scale: self.scale,
            weights: Vec::new(),
            sites: self.sites.clone(),
        }
    }

    pub(crate) fn site(&self, layer: usize, site: Site) -> &SiteRanges {
        &self.sites[layer * Site::ALL.len() + site as usize]
    }

    fn modules(&self, config: &ModelConfig) -> Vec<Module> {
        let mut modules = Vec::new();
        for layer in 0..config.num_hidden_layers {
            for site in Site::ALL {
                let ranges = self.site(layer, site);
                let size = self.spec.rank * site.inputs(config);
                for (i, (part, outputs)) in site.parts(config).into_iter().enumerate() {
                    modules.push(Module {
                        name: format!("model.layers.{layer}.{part}"),
                        inputs: site.inputs(config),
                        outputs,
                        a: ranges.a.start + i * size..ranges.a.start + (i + 1) * size,
                        b: ranges.b[i].clone(),
                    });
                }
            }
        }
        modules
    }
}

impl AdapterBank {
    /// A bank of none.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Number of adapters.
    pub fn len(&self) -> usize {
        self.adapters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.adapters.is_empty()
    }

    /// Name of an adapter.
    pub fn name(&self, index: usize) -> &str {
        &self.adapters[index].spec.name
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    fn changed(&mut self) {
        static VERSIONS: AtomicU64 = AtomicU64::new(1);
        self.version = VERSIONS.fetch_add(1, Ordering::Relaxed);
    }

    /// An adapter's weights, to be changed.
    pub(crate) fn weights_mut(&mut self, index: usize) -> &mut [f32] {
        self.changed();
        &mut self.adapters[index].weights
    }

    /// Number of weights of an adapter.
    pub fn parameters(&self, index: usize) -> usize {
        self.adapters[index].weights.len()
    }

    /// Makes an adapter that changes nothing yet: B zero, A uniform in ±1/√in (PEFT's Kaiming with
    /// a = √5), drawn from `spec.seed` alone. Returns its index.
    pub fn create(&mut self, config: &ModelConfig, spec: &AdapterSpec) -> usize {
        let mut adapter = BankAdapter::new(config, spec.clone());
        let mut random = SplitMix64::new(spec.seed ^ 0x5851_f42d_4c95_7f2d);
        for Module { inputs, a, .. } in adapter.modules(config) {
            let bound = 1.0 / (inputs as f32).sqrt();
            for w in &mut adapter.weights[a] {
                *w = (2.0 * random.next_f32() - 1.0) * bound;
            }
        }
        self.adapters.push(adapter);
        self.changed();
        self.adapters.len() - 1
    }

    /// Starts an adapter that [`create`](Self::create) made from the weights of a trained one of the same rank. Where
    /// their α differ, B is scaled, so that both compute the same.
    ///
    /// # Errors
    /// [`Error::InitRank`] where the ranks differ; as [`add`](Self::add).
    pub fn initialize(&mut self, config: &ModelConfig, index: usize, from: &Adapter) -> Result<()> {
        let mut trained = Self::default();
        trained.add(config, "the adapter to start from", from)?;
        let BankAdapter {
            spec,
            scale,
            mut weights,
            sites,
        } = trained.adapters.remove(0);
        let own = &self.adapters[index];
        if spec.rank != own.spec.rank {
            return Err(Error::InitRank {
                expected: own.spec.rank,
                found: spec.rank,
            });
        }
        let factor = scale / own.scale;
        for range in sites.iter().flat_map(|site| &site.b) {
            weights[range.clone()].iter_mut().for_each(|w| *w *= factor);
        }
        self.weights_mut(index).copy_from_slice(&weights);
        Ok(())
    }

    /// Adds a trained adapter. Modules it does not adapt stay as they are. Returns its index.
    ///
    /// # Errors
    /// An adapter whose matrices do not fit this model, or are not those of the modules that its
    /// configuration names.
    pub fn add(&mut self, config: &ModelConfig, name: &str, adapter: &Adapter) -> Result<usize> {
        let spec = AdapterSpec {
            name: name.to_owned(),
            rank: adapter.config.r,
            alpha: adapter.config.lora_alpha,
            dropout: adapter.config.lora_dropout,
            seed: 0,
        };
        let mut own = BankAdapter::new(config, spec);
        let rank = own.spec.rank;
        let mut known = 0;
        for Module {
            name: module,
            inputs,
            outputs,
            a,
            b,
        } in own.modules(config)
        {
            let find = |matrix: &str, shape: [usize; 2]| {
                let tensor = format!("{module}.{matrix}.weight");
                let found = adapter.tensors.get(&tensor);
                match found {
                    Some(t) if t.shape != shape => Err(Error::AdapterShape {
                        adapter: name.to_owned(),
                        tensor,
                        expected: shape.to_vec(),
                        found: t.shape.clone(),
                    }),
                    found => Ok(found),
                }
            };
            let matrices = [
                find("lora_A", [rank, inputs])?,
                find("lora_B", [outputs, rank])?,
            ];
            match (adapter.config.targets.includes(&module), matrices) {
                (true, [Some(in_a), Some(in_b)]) => {
                    own.weights[a].copy_from_slice(&in_a.data);
                    transpose(&in_b.data, outputs, rank, &mut own.weights[b]);
                    known += 2;
                }
                (false, [None, None]) => {}
                (adapted, [found, _]) => {
                    return Err(Error::AdapterTargets {
                        adapter: name.to_owned(),
                        tensor: format!(
                            "{module}.{}.weight",
                            if adapted == found.is_none() {
                                "lora_A"
                            } else {
                                "lora_B"
                            }
                        ),
                        missing: adapted,
                    });
                }
            }
        }
        if known < adapter.tensors.len() {
            let expected = Self::tensor_names(&own, config);
            let tensor = adapter
                .tensors
                .keys()
                .find(|k| !expected.contains(*k))
                .cloned()
                .unwrap_or_default();
            return Err(Error::AdapterTensor {
                adapter: name.to_owned(),
                tensor,
            });
        }
        self.adapters.push(own);
        self.changed();
        Ok(self.adapters.len() - 1)
    }

    fn tensor_names(adapter: &BankAdapter, config: &ModelConfig) -> Vec<String> {
        let modules = adapter.modules(config);
        modules
            .iter()
            .flat_map(|m| ["A", "B"].map(|x| format!("{}.lora_{x}.weight", m.name)))
            .collect()
    }

    /// An adapter as PEFT keeps it.
    pub fn export(&self, config: &ModelConfig, index: usize) -> Adapter {
        let adapter = &self.adapters[index];
        self.matrices(config, index, &adapter.weights)
    }

    /// `values`, laid out as the adapter's weights, by PEFT's names (weights or gradients).
    pub(crate) fn matrices(&self, config: &ModelConfig, index: usize, values: &[f32]) -> Adapter {
        let adapter = &self.adapters[index];
        let rank = adapter.spec.rank;
        let mut tensors = std::collections::BTreeMap::new();
        for Module {
            name: module,
            inputs,
            outputs,
            a,
            b,
        } in adapter.modules(config)
        {
            let mut data = vec![0.0; outputs * rank];
            transpose(&values[b], rank, outputs, &mut data);
            let a = AdapterTensor {
                shape: vec![rank, inputs],
                data: values[a].to_vec(),
            };
            tensors.insert(format!("{module}.lora_A.weight"), a);
            tensors.insert(
                format!("{module}.lora_B.weight"),
                AdapterTensor {
                    shape: vec![outputs, rank],
                    data,
                },
            );
        }
        let parts = Site::ALL.iter().flat_map(|s| s.parts(config));
        let module = |part: &str| part.rsplit('.').next().unwrap_or(part).to_owned();
        let names: Vec<String> = parts.map(|(part, _)| module(part)).collect();
        Adapter {
            config: AdapterConfig {
                r: rank,
                lora_alpha: adapter.spec.alpha,
                lora_dropout: adapter.spec.dropout,
                targets: Targets::of(names.clone()),
                target_modules: names,
                base_model_name_or_path: None,
            },
            tensors,
        }
    }
}

/// `[rows, columns]` to `[columns, rows]`.
fn transpose(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    for i in 0..rows {
        for j in 0..columns {
            to[j * rows + i] = from[i * columns + j];
        }
    }
}
