//! The plan of a run: every adapter that will stand in the batch, what it learns from and what it is
//! judged on.
//!
//! Without folds there is one adapter a member: it learns from the training rows and is judged on the
//! validation rows. With K folds the two make one pool, and of each member there are, in each repeat,
//! K adapters that did not see one fold (outer) and K(K−1)/2 that did not see two (inner); and one,
//! the member itself, that saw the whole pool.

use crate::engine::AdapterSpec;
use crate::error::{Error, Result};
use crate::folds;
use crate::grid::{Member, members};
use crate::rows::{Row, Rows};
use crate::schedule::steps_for;
use crate::settings::TrainSettings;

/// Which rows an adapter learns from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All training rows; with folds, the whole pool. These adapters are the run's result.
    Whole,
    /// The pool without one fold (outer) or two (inner, in order) of a repeat. Counted from 0.
    Without {
        /// Which drawing of folds.
        repeat: usize,
        /// The folds that it does not see.
        folds: Vec<usize>,
    },
}

/// The rows of one part, by their places in the pool: training rows, then validation rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Whose rows.
    pub part: Part,
    /// Rows to learn from, in the order of the pool.
    pub train: Vec<usize>,
    /// Rows to be judged on, in the order of the pool.
    pub held: Vec<usize>,
    /// Optimizer steps: the settings' `steps`, or as many as its epochs over `train` take.
    pub steps: usize,
}

/// One adapter to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Index in [`Plan::members`].
    pub member: usize,
    /// Index in [`Plan::shares`].
    pub share: usize,
    /// The member's name; of a fold's adapter also what it does not see: `r4@0.2` is r4 without fold
    /// 2 of repeat 0, `r4@0.1+2` without folds 1 and 2.
    pub name: String,
}

/// Every adapter of a run.
///
/// The same settings hold for each of them, so a fold's adapter is what a plain run on its rows gives.
/// `steps` are the same number for all. `epochs` are counted on an adapter's own rows, each with its
/// own schedule: with fewer rows it makes fewer steps, but sees each row as often as the adapter that
/// it stands for. With equal steps an inner adapter of three folds would see its rows three times as
/// often and be overfitted in another way than what it is to foretell.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The grid.
    pub members: Vec<Member>,
    /// For each repeat, the fold of each row of the pool; none without folds.
    pub folds: Vec<Vec<usize>>,
    /// Rows of each part: the whole first.
    pub shares: Vec<Share>,
    /// The adapters, in the order in which an engine makes them: the members in the order of the
    /// grid, then part by part those of the folds.
    pub jobs: Vec<Job>,
}

impl Plan {
    /// Plans a run of resolved settings.
    ///
    /// # Errors
    /// [`Error::Settings`] with every reason why the rows cannot be cut into the folds asked for.
    pub fn new(settings: &TrainSettings, rows: &Rows) -> Result<Self> {
        let members = members(settings);
        let pool = rows.pool();
        let share = |part: Part, held: &dyn Fn(usize) -> bool, train: &dyn Fn(usize) -> bool| {
            let train: Vec<usize> = (0..pool.len()).filter(|row| train(*row)).collect();
            let epochs = settings.epochs.unwrap_or(TrainSettings::DEFAULT_EPOCHS);
            let by_epochs = || steps_for(epochs, train.len(), settings.batch);
            Share {
                part,
                held: (0..pool.len()).filter(|row| held(*row)).collect(),
                steps: settings.steps.unwrap_or_else(by_epochs),
                train,
            }
        };
        let (mut drawn, mut shares) = (Vec::new(), Vec::new());
        if let Some(folds) = settings.folds {
            refuse(&pool, folds)?;
            shares.push(share(Part::Whole, &|_| false, &|_| true));
            let seed = settings.seed[0];
            for repeat in 0..settings.repeats.unwrap_or(1) {
                let of = folds::draw(&pool, folds, seed, repeat);
                for without in outer_and_inner(folds) {
                    let held = |row: usize| without.contains(&of[row]);
                    let part = Part::Without {
                        repeat,
                        folds: without.clone(),
                    };
                    shares.push(share(part, &held, &|row| !held(row)));
                }
                drawn.push(of);
            }
        } else {
            let training = rows.train.len();
            let part = share(Part::Whole, &|row| row >= training, &|row| row < training);
            shares.push(part);
        }
        let jobs = shares.iter().enumerate().flat_map(|(share, of)| {
            let suffix = suffix(&of.part);
            let job = move |(member, of): (usize, &Member)| Job {
                member,
                share,
                name: format!("{}{suffix}", of.name),
            };
            members.iter().enumerate().map(job)
        });
        Ok(Self {
            jobs: jobs.collect(),
            members: members.clone(),
            folds: drawn,
            shares,
        })
    }

    /// The adapters as an engine makes them, in order.
    pub fn specs(&self) -> Vec<AdapterSpec> {
        let spec = |job: &Job| AdapterSpec {
            name: job.name.clone(),
            ..self.members[job.member].spec()
        };
        self.jobs.iter().map(spec).collect()
    }

    /// Optimizer steps of the longest adapter.
    pub fn steps(&self) -> usize {
        self.shares
            .iter()
            .map(|share| share.steps)
            .max()
            .unwrap_or(0)
    }

    /// Optimizer steps of all adapters together: what the run costs, but for validation, in steps of
    /// one adapter.
    pub fn adapter_steps(&self) -> usize {
        self.jobs
            .iter()
            .map(|job| self.shares[job.share].steps)
            .sum()
    }

    /// The share of a job.
    pub(crate) fn share(&self, job: usize) -> &Share {
        &self.shares[self.jobs[job].share]
    }

    /// The job of a member without these folds of a repeat.
    pub(crate) fn without(&self, member: usize, repeat: usize, folds: &[usize]) -> usize {
        let wanted = |share: &Share| matches!(&share.part, Part::Without { repeat: r, folds: f } if *r == repeat && f == folds);
        let share = self.shares.iter().position(wanted);
        share.expect("a part of the plan") * self.members.len() + member
    }
}

fn refuse(pool: &[&Row], folds: usize) -> Result<()> {
    let faults = folds::faults(pool, folds);
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::Settings {
        origin: "settings".into(),
        faults,
    })
}

/// Each fold, then each pair.
fn outer_and_inner(folds: usize) -> Vec<Vec<usize>> {
    let outer = (0..folds).map(|fold| vec![fold]);
    let inner = (0..folds).flat_map(|a| (a + 1..folds).map(move |b| vec![a, b]));
    outer.chain(inner).collect()
}

fn suffix(part: &Part) -> String {
    match part {
        Part::Whole => String::new(),
        Part::Without { repeat, folds } => {
            let folds: Vec<String> = folds.iter().map(usize::to_string).collect();
            format!("@{repeat}.{}", folds.join("+"))
        }
    }
}
