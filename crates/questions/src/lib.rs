//! Generated questions on reading study results. Labels and rationales are computed from the
//! printed numbers, never written by hand.
//!
//! # What the labels mean
//! A question puts a claim; its wording says which of two things it asks, and every wording can
//! have all three answers:
//!
//! - **Shown.** "Did the drug *significantly* reduce …", "was non-inferiority *shown*". The numbers
//!   either show it or they do not: a relative risk of 0.85 with a 95% interval from 0.69 to 1.05
//!   did not significantly reduce anything. Where no level of significance is stated, it is 5% and
//!   the interval a 95% one. The answer is Uncertain where a figure that decides is missing, unless
//!   what is printed settles the question alone: an upper limit of 0.93 shows a reduction whatever
//!   the lower limit is.
//! - **True.** "Does the drug reduce …", "is the probability above 50%". Yes where the whole interval
//!   (or range) speaks for it, No where the whole interval speaks against it, Uncertain where it
//!   holds both: the same 0.69 to 1.05 leaves open whether the drug works.
//!
//! # How rows are made
//! Row `i` has a label (`i % 3`) and a family, so that labels are balanced over the whole and in
//! each family. Numbers are drawn, printed, read back from the print, and the truth of the claim
//! computed from that; draws that do not give the wanted label, or whose numbers touch the boundary
//! after rounding, are thrown away. No question occurs twice, and the first rows of a longer run
//! are those of a shorter one.
//!
//! # Why the wording does not give the label away
//! - Each template holds a claim and its exact opposite, `[above|below]`, and a fair coin chooses
//!   one before any number is drawn. Yes and No so have the same words and numbers.
//! - A missing figure is "not reported", and where a wording can miss a figure that decides, one
//!   that does not (the number of centres, say) is "not reported" in its other questions.
//! - Sentences without bearing are drawn after, and apart from, the label.
//!
//! A test of the data crate holds a bag-of-words classifier to 40 % accuracy; chance is 33 %.
//!
//! # Levels of difficulty
//! 1. One comparison.
//! 2. One computed quantity, or two conditions.
//! 3. Several steps; or any wording with sentences that have no bearing put before or into it.
//!
//! The level is in the id, `stats:{family}/{wording}/{level}:{row:06}`.
//!
//! # What is held out
//! Of every 20 turns (runs of rows that have each trained family with each label once) one
//! uses wordings that no training row has, and one uses whole families that no training row has:
//! prediction intervals (read like confidence intervals), false discovery (like Holm's procedure),
//! numbers of events (like sample sizes) and kappa (a share less what is due to chance, like I²).
//! Both, about one row in twenty each, are pinned to the test split.
//!
//! Rows of one wording are one group: what validation and test ask is asked in wordings that training does not have,
//! and intervals count wordings, not rows.

mod effect;
mod families;
mod generate;
mod plan;
mod print;
mod question;
mod random;
#[cfg(test)]
mod rederive;
mod spare;
#[cfg(test)]
mod tests;
mod twins;
mod wording;
mod words;

pub use generate::{SOURCE, questions};
pub use question::{Answer, GeneratedQuestion};
pub use twins::{Twin, TwinRule, held_out_questions, twins};
