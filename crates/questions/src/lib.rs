//! Generated questions on reading study results. Answers and rationales are computed from the printed numbers, never
//! written by hand.
//!
//! # What the answers mean
//! Each question makes a claim, and its wording says which of two things it asks. Every wording can have all three
//! answers:
//!
//! - **Was it shown?** "Did the drug *significantly* reduce …", "was non-inferiority *shown*". Either the numbers show
//!   it or they do not: a relative risk of 0.85 with a 95% interval from 0.69 to 1.05 did not significantly reduce
//!   anything. Where no significance level is stated, it is 5% and the interval a 95% one. The answer is Uncertain when
//!   a deciding figure is missing, unless the printed ones settle the question: an upper limit of 0.93 shows a
//!   reduction whatever the lower limit is.
//! - **Is it true?** "Does the drug reduce …", "is the probability above 50%". Yes when the whole interval (or range)
//!   supports the claim, No when the whole interval contradicts it, Uncertain when it contains values of both kinds:
//!   the same 0.69 to 1.05 leaves open whether the drug works.
//!
//! # How questions are made
//! Row `i` has an answer (`i % 3`) and a family, so that answers are balanced overall and in each family. Numbers are
//! drawn and printed; the truth of the claim is computed from the printed values. Draws that do not give the intended
//! answer, or whose printed numbers are too close to the boundary, are rejected. No question occurs twice, and a
//! longer run starts with the rows of a shorter one.
//!
//! # Why the wording does not reveal the answer
//! - Each template contains a claim and its exact opposite, `[above|below]`. A fair coin chooses one before any number
//!   is drawn, so questions answered Yes and No have the same words and numbers.
//! - A missing figure is printed as "not reported". Where a wording can miss a deciding figure, its other questions
//!   miss an irrelevant one, such as the number of centres.
//! - Irrelevant sentences (`distractors.rs`) are drawn after the answer and independently of it.
//!
//! A test of the crate `verdict-data` checks that a bag-of-words classifier reaches at most 40 % accuracy; chance is
//! 33 %.
//!
//! # Levels of difficulty
//! 1. One comparison.
//! 2. One computed quantity, or two conditions.
//! 3. Several steps; or any wording with irrelevant sentences.
//!
//! The level is in the id, `stats:{family}/{wording}/{level}:{row:06}`.
//!
//! # What is held out
//! A turn is a run of rows that has each trained family with each answer once. Of every 20 turns, one uses wordings
//! that no training row has, and one uses whole families that no training row has: prediction intervals (read like
//! confidence intervals), false discovery rates (like Holm's procedure), numbers of events (like sample sizes) and
//! kappa (an agreement corrected for chance, like I²). Both, about one row in twenty each, belong to the test set.
//!
//! Rows of one wording are one group. Validation and test questions therefore have wordings that training does not
//! have, and intervals count wordings instead of rows.

mod dialogues;
mod distractors;
mod effect;
mod families;
mod generate;
mod numbers;
mod plan;
mod question;
mod random;
#[cfg(test)]
mod rederive;
mod scenes;
mod template;
#[cfg(test)]
mod tests;
mod twins;
mod wording;

pub use dialogues::{CorrectedQuestion, corrected_questions};
pub use generate::{SOURCE, questions};
pub use question::{Answer, GeneratedQuestion};
pub use twins::{Twin, TwinRule, held_out_questions, twins};
