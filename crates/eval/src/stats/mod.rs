//! The statistics of an evaluation: pure functions from answers to estimates with intervals, and tests.
//!
//! | file | what |
//! |---|---|
//! | [`score_interval`] | score intervals: of a paired difference, of a mean of shares |
//! | [`mod@bootstrap`] | the bootstrap over groups, percentile and BCa intervals |
//! | [`mod@scores`] | accuracy, balanced accuracy, macro-F1, each label's precision, recall, F1 |
//! | [`mod@paired`] | two models on the same questions: difference, McNemar's test, Holm's correction, minimum detectable difference |
//! | [`probability`] | log loss, Brier score, calibration |
//! | [`mod@selective`] | accuracy when only the most confident answers are given |
//! | [`abstain`] | thresholds below which to abstain, with a guarantee |
//! | [`ranking`] | recall and nDCG of a search |
//! | [`screening`] | recall, work saved and ranking of screened records, a threshold with a guarantee on recall |
//!
//! # Coverage of the intervals
//!
//! In per cent of 2,000 simulated samples of 33, 99 and 501 answers (nominal coverage 95; the standard error is 0.5).
//! Plain: an overconfident model with an accuracy of 62 %. Certain: an accuracy of 90 %. Groups: as plain, with three
//! answers in each group whose errors are correlated. `rows`: Wilson's interval as if answers were independent.
//!
//! | | plain 33 | 99 | 501 | certain 33 | 99 | 501 | groups 33 | 99 | 501 |
//! |---|---|---|---|---|---|---|---|---|---|
//! | accuracy | 95.2 | 95.0 | 94.8 | 95.0 | 96.3 | 95.5 | 95.7 | 95.7 | 94.8 |
//! | balanced accuracy | 96.5 | 95.8 | 95.3 | 97.9 | 96.8 | 95.2 | 96.3 | 94.8 | 94.9 |
//! | macro-F1 | 97.1 | 96.0 | 95.1 | 98.7 | 97.2 | 95.7 | 95.8 | 95.5 | 94.7 |
//! | F1, Uncertain | 95.7 | 94.0 | 95.2 | 95.9 | 96.0 | 95.5 | 95.0 | 96.2 | 95.5 |
//! | precision, Uncertain | 95.5 | 94.8 | 95.5 | 95.7 | 96.9 | 95.3 | 95.8 | 96.7 | 94.7 |
//! | recall, Uncertain | 95.8 | 94.8 | 94.5 | 95.8 | 96.3 | 96.1 | 94.8 | 96.2 | 96.0 |
//! | difference of two models | 94.0 | 94.6 | 95.6 | 95.6 | 95.2 | 94.8 | 94.2 | 93.8 | 95.2 |
//! | log loss | 95.2 | 94.3 | 94.9 | 86.3 | 92.2 | 93.8 | 92.2 | 94.8 | 94.8 |
//! | Brier score | 96.2 | 94.4 | 94.3 | 90.2 | 95.8 | 95.5 | 94.1 | 95.4 | 95.0 |
//! | calibration error | 92.5 | 91.8 | 95.0 | 97.9 | 98.0 | 97.0 | 94.4 | 91.5 | 94.0 |
//! | area under risk and coverage | 95.8 | 94.7 | 94.2 | 93.0 | 94.7 | 94.8 | 94.4 | 95.8 | 95.1 |
//! | accuracy at 70 % | 97.0 | 95.5 | 95.7 | 100.0 | 99.7 | 97.8 | 95.8 | 96.2 | 95.3 |
//! | accuracy at 90 % | 96.6 | 95.2 | 95.4 | 99.7 | 95.9 | 95.9 | 95.5 | 95.5 | 95.0 |
//! | accuracy, `rows` | 95.2 | 95.0 | 94.8 | 95.0 | 96.3 | 95.5 | 90.9 | 93.8 | 93.7 |
//!
//! The difference of two closely related models, of which only one is right on 1.6, 4.4 and 11 % of the questions
//! (`close`: groups of three questions that are nearly the same). The bootstrap covered it in 23 to 93 %, because its
//! interval has no width in samples without a differing pair.
//!
//! | | 1.6 %: 33 | 99 | 501 | 4.4 %: 33 | 99 | 501 | 11 %: 33 | 99 | 501 |
//! |---|---|---|---|---|---|---|---|---|---|
//! | plain | 100.0 | 99.4 | 96.0 | 99.5 | 96.5 | 94.4 | 98.0 | 95.8 | 95.5 |
//! | groups | 100.0 | 100.0 | 98.5 | 100.0 | 100.0 | 95.7 | 100.0 | 97.9 | 95.1 |
//! | close | 100.0 | 100.0 | 99.0 | 100.0 | 100.0 | 92.5 | 100.0 | 98.5 | 93.3 |
//!
//! Coverage is too low for log loss and Brier score of few answers of an accurate model, since a single confident mistake
//! that was not sampled would change them; for the calibration error, which a sample overestimates, so that no interval
//! contains an error of 0 (see [`probability::Probabilities::ece_of_chance`]); and for everything that takes answers of
//! one group as independent.

pub mod abstain;
pub mod bootstrap;
pub mod paired;
pub mod probability;
pub mod ranking;
pub mod score_interval;
pub mod scores;
pub mod screening;
pub mod selective;
#[cfg(test)]
mod tests;
