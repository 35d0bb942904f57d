//! What the rows of an evaluation say, and how sure that is. Pure functions: rows in, figures out.
//!
//! | file | what |
//! |---|---|
//! | [`score`] | score intervals: of a paired difference, of a mean of shares |
//! | [`resample`] | the bootstrap over groups, percentile and BCa intervals |
//! | [`mod@scores`] | accuracy, balanced accuracy, macro-F1, each label's precision, recall, F1 |
//! | [`mod@paired`] | two systems on the same rows: difference, McNemar's test, Holm's correction, what n can show |
//! | [`probability`] | log loss, Brier score, calibration |
//! | [`mod@selective`] | what is gained by answering only where the confidence is high |
//! | [`abstain`] | thresholds under which not to answer, with a guarantee |
//!
//! # How often the intervals hold the truth
//!
//! In per cent of 2,000 simulated samples of 33, 99 and 501 rows (95 is right; the standard error is 0.5). Plain:
//! a model that is 62 % right and too sure. Certain: 90 % right. Groups: plain, three rows of each group, which
//! share half of their luck. `rows`: Wilson's interval as if rows were independent.
//!
//! | | plain 33 | 99 | 501 | certain 33 | 99 | 501 | groups 33 | 99 | 501 |
//! |---|---|---|---|---|---|---|---|---|---|
//! | accuracy | 95.2 | 95.0 | 94.8 | 95.0 | 96.3 | 95.5 | 95.7 | 95.7 | 94.8 |
//! | balanced accuracy | 96.5 | 95.8 | 95.3 | 97.9 | 96.8 | 95.2 | 96.3 | 94.8 | 94.9 |
//! | macro-F1 | 97.1 | 96.0 | 95.1 | 98.7 | 97.2 | 95.7 | 95.8 | 95.5 | 94.7 |
//! | F1, Uncertain | 95.7 | 94.0 | 95.2 | 95.9 | 96.0 | 95.5 | 95.0 | 96.2 | 95.5 |
//! | precision, Uncertain | 95.5 | 94.8 | 95.5 | 95.7 | 96.9 | 95.3 | 95.8 | 96.7 | 94.7 |
//! | recall, Uncertain | 95.8 | 94.8 | 94.5 | 95.8 | 96.3 | 96.1 | 94.8 | 96.2 | 96.0 |
//! | difference of two systems | 94.0 | 94.6 | 95.6 | 95.6 | 95.2 | 94.8 | 94.2 | 93.8 | 95.2 |
//! | log loss | 95.2 | 94.3 | 94.9 | 86.3 | 92.2 | 93.8 | 92.2 | 94.8 | 94.8 |
//! | Brier score | 96.2 | 94.4 | 94.3 | 90.2 | 95.8 | 95.5 | 94.1 | 95.4 | 95.0 |
//! | calibration error | 92.5 | 91.8 | 95.0 | 97.9 | 98.0 | 97.0 | 94.4 | 91.5 | 94.0 |
//! | area under risk and coverage | 95.8 | 94.7 | 94.2 | 93.0 | 94.7 | 94.8 | 94.4 | 95.8 | 95.1 |
//! | accuracy at 70 % | 97.0 | 95.5 | 95.7 | 100.0 | 99.7 | 97.8 | 95.8 | 96.2 | 95.3 |
//! | accuracy at 90 % | 96.6 | 95.2 | 95.4 | 99.7 | 95.9 | 95.9 | 95.5 | 95.5 | 95.0 |
//! | accuracy, `rows` | 95.2 | 95.0 | 94.8 | 95.0 | 96.3 | 95.5 | 90.9 | 93.8 | 93.7 |
//!
//! The difference of two closely related systems, one alone of which is right on 1.6, 4.4 and 11 % of the rows
//! (`close`: groups of three rows that are nearly the same). The bootstrap held it in 23 to 93 %: of samples in which no
//! pair differs it gives no width.
//!
//! | | 1.6 %: 33 | 99 | 501 | 4.4 %: 33 | 99 | 501 | 11 %: 33 | 99 | 501 |
//! |---|---|---|---|---|---|---|---|---|---|
//! | plain | 100.0 | 99.4 | 96.0 | 99.5 | 96.5 | 94.4 | 98.0 | 95.8 | 95.5 |
//! | groups | 100.0 | 100.0 | 98.5 | 100.0 | 100.0 | 95.7 | 100.0 | 97.9 | 95.1 |
//! | close | 100.0 | 100.0 | 99.0 | 100.0 | 100.0 | 92.5 | 100.0 | 98.5 | 93.3 |
//!
//! What falls short: log loss and Brier score of few rows of a model that is seldom wrong, since one sure and wrong
//! answer not yet seen would change them; the calibration error, which a sample exaggerates, and of which no interval
//! holds an error of 0 (see [`probability::Probabilities::ece_of_chance`]); and everything that takes rows of groups
//! as independent.

pub mod abstain;
pub mod paired;
pub mod probability;
pub mod resample;
pub mod score;
pub mod scores;
pub mod selective;
#[cfg(test)]
mod tests;
