//! The rows of a data set as tokens, ready to train and validate on.

use std::collections::BTreeMap;

use tokenizers::Tokenizer;
use verdict_answer::ContextCuts;
use verdict_answer::labels::LabelTokens;
use verdict_answer::prompt::{PromptError, check_embedding, encode_item};
use verdict_data::{Item, Label};

use crate::error::{Error, Result};
use crate::settings::Loss;

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizedExample {
    /// The item's id.
    pub id: String,
    /// Name of its group; rows of one group are not independent and never stand in two folds.
    pub group: String,
    /// Prompt, completion and end-of-text.
    pub tokens: Vec<u32>,
    /// Index of the completion's first token, at least 1 and below the number of tokens.
    pub prompt_tokens: usize,
    /// The true label's place in the probes (in `Label::ALL`).
    pub label: usize,
    /// What its loss weighs against another row's.
    pub weight: f64,
}

impl TokenizedExample {
    /// Index of the first token that the loss counts.
    pub fn loss_from(&self, loss: Loss) -> usize {
        match loss {
            Loss::Completion => self.prompt_tokens,
            Loss::Full => 1,
        }
    }

    /// Tokens that the loss counts.
    pub fn supervised(&self, loss: Loss) -> usize {
        self.tokens.len() - self.loss_from(loss)
    }
}

/// What a run learns from and is watched by.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingSet {
    /// Rows to learn from.
    pub train: Vec<TokenizedExample>,
    /// Rows to choose by.
    pub validation: Vec<TokenizedExample>,
    /// First token of each label's completion, in the order of `Label::ALL`.
    pub probes: Vec<u32>,
    /// How contexts were cut to the most tokens of a row.
    pub cuts: ContextCuts,
    /// Each label's tokens after its first, in the same order; of most tokenizers none.
    pub tails: [Vec<u32>; 3],
}

impl TrainingSet {
    /// Encodes the two splits with at most `max_length` tokens a row. `eos` ends each row. Each token is
    /// below `vocabulary`, the rows of the model's embedding.
    ///
    /// # Errors
    /// [`Error::NoRows`] where a split is empty; [`Error::Row`] for a row that does not fit.
    pub fn encode(
        train: &[Item],
        validation: &[Item],
        tokenizer: &Tokenizer,
        labels: &LabelTokens,
        max_length: usize,
        eos: u32,
        vocabulary: usize,
    ) -> Result<Self> {
        let mut cuts = ContextCuts::default();
        let mut split = |split: &'static str, items: &[Item]| {
            if items.is_empty() {
                return Err(Error::NoRows { split });
            }
            let row = |item: &Item| {
                let encoded = encode_item(tokenizer, item, max_length, eos)
                    .map_err(|source| Error::Row { split, source })?;
                check_embedding(tokenizer, &encoded.tokens, vocabulary).map_err(|source| {
                    let (id, source) = (item.id.clone(), Box::new(source));
                    let source = PromptError::Item { id, source };
                    Error::Row { split, source }
                })?;
                cuts.add(encoded.prompt_tokens, encoded.cut);
                Ok(TokenizedExample {
                    id: item.id.clone(),
                    group: item.group.clone(),
                    tokens: encoded.tokens,
                    prompt_tokens: encoded.prompt_tokens,
                    label: item.label.index(),
                    weight: 1.0,
                })
            };
            items.iter().map(row).collect()
        };
        Ok(Self {
            train: split("train", train)?,
            validation: split("validation", validation)?,
            probes: labels.ids().to_vec(),
            cuts,
            tails: Label::ALL.map(|label| labels.rest(label).to_vec()),
        })
    }

    /// Training rows, then validation rows: what folds are cut from.
    pub fn pool(&self) -> Vec<&TokenizedExample> {
        self.train.iter().chain(&self.validation).collect()
    }

    /// Weighs the loss of each row, where it is learnt from, by its label; rows of a label that is not
    /// named weigh 1.
    pub fn weigh(&mut self, weights: &BTreeMap<Label, f64>) {
        for row in self.train.iter_mut().chain(&mut self.validation) {
            row.weight = weights.get(&Label::ALL[row.label]).copied().unwrap_or(1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use verdict_answer::testing::{EOS, tokenizer};
    use verdict_data::Label;

    use super::*;

    fn item(label: Label, rationale: &str) -> Item {
        let question = "Does vitamin D help?";
        Item {
            id: "pubmedqa-1".into(),
            question: question.into(),
            label,
            rationale: rationale.into(),
            source: "pubmedqa".into(),
            group: "g1".into(),
            context: None,
        }
    }

    fn encode(train: &[Item], validation: &[Item], max_length: usize) -> Result<TrainingSet> {
        let tokenizer = tokenizer();
        let labels = LabelTokens::new(&tokenizer).unwrap();
        let eos = tokenizer.token_to_id(EOS).unwrap();
        let rows = tokenizer.get_vocab_size(true);
        TrainingSet::encode(
            train, validation, &tokenizer, &labels, max_length, eos, rows,
        )
    }

    #[test]
    fn a_row_with_a_token_beyond_the_embedding_is_named() {
        let tokenizer = tokenizer();
        let labels = LabelTokens::new(&tokenizer).unwrap();
        let eos = tokenizer.token_to_id(EOS).unwrap();
        let all = tokenizer.get_vocab_size(true);
        let far = tokenizer.token_to_id("Ġ[").unwrap() as usize;
        let good = item(Label::Yes, "A small trial shows benefit.");
        let mut bad = item(Label::No, "Not significant.");
        (bad.id, bad.question) = ("rows.jsonl:7".into(), "Does it [x] help?".into());
        let encode = |rows: &[Item], vocabulary: usize| {
            let validation = std::slice::from_ref(&good);
            TrainingSet::encode(rows, validation, &tokenizer, &labels, 512, eos, vocabulary)
        };
        let items = [good.clone(), bad];
        assert!(encode(&items, all).is_ok());
        // The end-of-text stands behind all words: with it gone too, every row is at fault.
        assert_eq!(eos as usize, all - 1);
        let error = TrainingSet::encode(&items, &items[..1], &tokenizer, &labels, 512, 0, far)
            .unwrap_err()
            .to_string();
        let expected = format!(
            "train: item \"rows.jsonl:7\": the text \" [\" is token {far}, and the model's embedding has only {far} rows"
        );
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn a_row_is_prompt_answer_and_end_with_the_loss_where_it_was_asked_for() {
        let items = [
            item(Label::Yes, "A small trial shows benefit."),
            item(Label::Uncertain, "Mixed."),
        ];
        let rows = encode(&items, &items[1..], 512).unwrap();
        let eos = tokenizer().token_to_id(EOS).unwrap();
        for (row, item) in rows.train.iter().zip(&items) {
            let completion = &row.tokens[row.prompt_tokens..];
            assert_eq!(completion[0], rows.probes[item.label.index()]);
            assert_eq!(
                (row.label, *completion.last().unwrap()),
                (item.label.index(), eos)
            );
            let text = tokenizer().decode(&row.tokens, true).unwrap();
            assert_eq!(
                text,
                format!(
                    "Q: {}\nA: {}. Rationale: {}",
                    item.question, item.label, item.rationale
                )
            );
            assert_eq!(row.supervised(Loss::Completion), completion.len());
            assert_eq!(row.loss_from(Loss::Full), 1);
            assert_eq!(row.supervised(Loss::Full), row.tokens.len() - 1);
        }
        assert_eq!(rows.validation[0], rows.train[1]);
    }

    #[test]
    fn cut_contexts_are_counted_over_both_splits() {
        let long = Item {
            context: Some("Patients benefit. ".repeat(40)),
            ..item(Label::Yes, "A small trial shows benefit.")
        };
        let whole = [
            item(Label::No, "A small trial shows benefit."),
            long.clone(),
        ];
        let rows = encode(&whole, &[long], 64).unwrap();
        assert_eq!((rows.cuts.rows, rows.cuts.cut), (3, 2));
        let kept = rows.train[1].prompt_tokens;
        assert!(kept <= 48, "{kept}");
        assert_eq!(rows.cuts.tokens_cut + 2 * kept, rows.cuts.tokens_whole);
        assert_eq!(encode(&whole, &whole, 4096).unwrap().cuts.cut, 0);
    }

    #[test]
    fn an_empty_split_and_a_row_that_does_not_fit_are_named() {
        let good = [item(Label::Yes, "A small trial shows benefit.")];
        let error = encode(&good, &[], 512).unwrap_err().to_string();
        assert_eq!(
            error,
            "data: the validation split has no rows; expected at least 1"
        );
        let error = encode(&good, &good, 12).unwrap_err().to_string();
        assert!(error.starts_with("train: item \"pubmedqa-1\": "), "{error}");
    }
}
