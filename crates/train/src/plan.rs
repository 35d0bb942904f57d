//! The plan of a run: every adapter that is trained, the examples it learns from and the examples it
//! is validated on.
//!
//! Without folds there is one fit per adapter of the grid: it learns from the training examples and is
//! validated on the validation examples. With K folds the two sets form one pool. For each adapter of
//! the grid and each repeat there are then K fits that leave out one fold (outer) and K(K−1)/2 that
//! leave out two (inner), plus one fit on the whole pool, whose weights are the run's result. A grid
//! whose adapters differ in their seeds alone has no inner fits: nothing is chosen, so that no choice
//! has to be validated.

use crate::engine::AdapterSpec;
use crate::error::{Error, Result};
use crate::folds;
use crate::grid::{AdapterSettings, adapters, grid};
use crate::schedule::steps_for;
use crate::settings::TrainSettings;
use crate::training_set::{TokenizedExample, TrainingSet};

/// Which examples a fit learns from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subset {
    /// All training examples; with folds, the whole pool. These fits are the run's result.
    All,
    /// The pool without one fold (outer) or two (inner, in ascending order) of a repeat. Counted from 0.
    Without {
        /// The repeat, that is, which random assignment of examples to folds.
        repeat: usize,
        /// The folds left out.
        folds: Vec<usize>,
    },
}

/// The examples of a subset, as indices into the pool: training examples, then validation examples.
#[derive(Clone, Debug, PartialEq)]
pub struct SubsetPlan {
    /// Which subset.
    pub subset: Subset,
    /// Examples to learn from, in the order of the pool.
    pub train: Vec<usize>,
    /// Examples to validate on, in the order of the pool.
    pub held_out: Vec<usize>,
    /// Optimizer steps: the `steps` of the settings, or as many as its `epochs` over `train` take.
    pub steps: usize,
}

/// One adapter trained on one subset.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterFit {
    /// Index in [`Plan::adapters`].
    pub adapter: usize,
    /// Index in [`Plan::subsets`].
    pub subset: usize,
    /// The adapter's name, followed by what is left out: `r4@0.2` is r4 without fold 2 of repeat 0,
    /// `r4@0.1+2` is r4 without folds 1 and 2.
    pub name: String,
}

/// Every fit of a run.
///
/// All fits share the same settings, so the fit of a fold is bitwise identical to a plain run on its
/// examples. `steps` is the same number for all. `epochs` are counted over a fit's own examples, and
/// each fit has its own schedule: with fewer examples it takes fewer steps but sees each example as
/// often as the adapter whose performance it estimates. With equal steps, an inner fit of three folds
/// would see its examples three times as often and overfit differently from that adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The grid.
    pub adapters: Vec<AdapterSettings>,
    /// For each repeat, the fold of each example of the pool; empty without folds.
    pub folds: Vec<Vec<usize>>,
    /// The subsets, [`Subset::All`] first.
    pub subsets: Vec<SubsetPlan>,
    /// The fits in the order in which an engine creates them: first those on all examples, in the
    /// order of the grid, then those of each further subset.
    pub fits: Vec<AdapterFit>,
}

impl Plan {
    /// Plans a run of resolved settings.
    ///
    /// # Errors
    /// [`Error::Settings`] with every reason why the examples cannot be split into the requested folds.
    pub fn new(settings: &TrainSettings, examples: &TrainingSet) -> Result<Self> {
        let adapters = adapters(settings);
        let pool = examples.pool();
        let mut drawn = Vec::new();
        let mut subsets = Vec::new();
        if let Some(folds) = settings.folds {
            refuse(&pool, folds)?;
            subsets.push(SubsetPlan::new(settings, pool.len(), Subset::All, |_| true));
            let seed = settings.seed[0];
            for repeat in 0..settings.repeats.unwrap_or(1) {
                let fold_of = folds::draw(&pool, folds, seed, repeat);
                for without in without(folds, chooses(settings)) {
                    let subset = Subset::Without {
                        repeat,
                        folds: without.clone(),
                    };
                    let seen = |example: usize| !without.contains(&fold_of[example]);
                    subsets.push(SubsetPlan::new(settings, pool.len(), subset, seen));
                }
                drawn.push(fold_of);
            }
        } else {
            let training = examples.train.len();
            let seen = |example: usize| example < training;
            subsets.push(SubsetPlan::new(settings, pool.len(), Subset::All, seen));
        }
        let fits = subsets.iter().enumerate().flat_map(|(subset, of)| {
            let suffix = suffix(&of.subset);
            let fit = move |(adapter, of): (usize, &AdapterSettings)| AdapterFit {
                adapter,
                subset,
                name: format!("{}{suffix}", of.name),
            };
            adapters.iter().enumerate().map(fit)
        });
        Ok(Self {
            fits: fits.collect(),
            adapters: adapters.clone(),
            folds: drawn,
            subsets,
        })
    }

    /// The adapter specifications as an engine creates them, in order.
    pub fn specs(&self) -> Vec<AdapterSpec> {
        let spec = |fit: &AdapterFit| AdapterSpec {
            name: fit.name.clone(),
            ..self.adapters[fit.adapter].spec()
        };
        self.fits.iter().map(spec).collect()
    }

    /// Optimizer steps of the longest fit.
    pub fn steps(&self) -> usize {
        self.subsets
            .iter()
            .map(|subset| subset.steps)
            .max()
            .unwrap_or(0)
    }

    /// Optimizer steps of all fits together: the cost of the run without validation, in steps of one
    /// adapter.
    pub fn adapter_steps(&self) -> usize {
        self.fits
            .iter()
            .map(|fit| self.subsets[fit.subset].steps)
            .sum()
    }

    /// The subset that a fit is trained on.
    pub(crate) fn subset_of(&self, fit: usize) -> &SubsetPlan {
        &self.subsets[self.fits[fit].subset]
    }

    /// Whether there are fits without two folds, by which the choice of an adapter is validated.
    pub fn is_nested(&self) -> bool {
        let pair = |of: &SubsetPlan| matches!(&of.subset, Subset::Without { folds, .. } if folds.len() == 2);
        self.subsets.iter().any(pair)
    }

    /// The fit of an adapter that leaves out these folds of a repeat.
    pub(crate) fn fit_without(&self, adapter: usize, repeat: usize, folds: &[usize]) -> usize {
        let wanted = Subset::Without {
            repeat,
            folds: folds.to_vec(),
        };
        let subset = self.subsets.iter().position(|of| of.subset == wanted);
        subset.expect("a subset of the plan") * self.adapters.len() + adapter
    }
}

impl SubsetPlan {
    /// Splits a pool of `examples` examples: those that are not trained on are held out.
    fn new(
        settings: &TrainSettings,
        examples: usize,
        subset: Subset,
        trains_on: impl Fn(usize) -> bool,
    ) -> Self {
        let (train, held_out): (Vec<usize>, Vec<usize>) =
            (0..examples).partition(|example| trains_on(*example));
        let epochs = settings.epochs.unwrap_or(TrainSettings::DEFAULT_EPOCHS);
        let by_epochs = || steps_for(epochs, train.len(), settings.batch);
        Self {
            subset,
            steps: settings.steps.unwrap_or_else(by_epochs),
            train,
            held_out,
        }
    }
}

fn refuse(pool: &[&TokenizedExample], folds: usize) -> Result<()> {
    let faults = folds::faults(pool, folds);
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::Settings {
        origin: "settings".into(),
        faults,
    })
}

/// Whether the adapters of the grid differ in more than their seeds.
fn chooses(settings: &TrainSettings) -> bool {
    let one_seed = TrainSettings {
        seed: vec![settings.seed[0]],
        ..settings.clone()
    };
    grid(&one_seed).len() > 1
}

/// The folds that are left out: each fold, then, if `inner`, each pair of folds.
fn without(folds: usize, inner: bool) -> Vec<Vec<usize>> {
    let outer = (0..folds).map(|fold| vec![fold]);
    let pairs = (0..folds).flat_map(|a| (a + 1..folds).map(move |b| vec![a, b]));
    outer.chain(pairs.filter(|_| inner)).collect()
}

fn suffix(subset: &Subset) -> String {
    match subset {
        Subset::All => String::new(),
        Subset::Without { repeat, folds } => {
            let folds: Vec<String> = folds.iter().map(usize::to_string).collect();
            format!("@{repeat}.{}", folds.join("+"))
        }
    }
}
