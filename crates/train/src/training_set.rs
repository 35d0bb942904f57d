//! The training and validation examples as tokens.

use std::collections::BTreeMap;

use tokenizers::Tokenizer;
use verdict_answer::ContextCuts;
use verdict_answer::labels::LabelTokens;
use verdict_answer::prompt::{PromptError, PromptFormat, check_embedding, encode_item};
use verdict_data::{Item, Label};

use crate::error::{Error, Result};
use crate::settings::Loss;

/// One example as tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizedExample {
    /// Its id.
    pub id: String,
    /// Name of its group. Examples of one group are not independent and always belong to the same fold.
    pub group: String,
    /// Prompt, completion and end-of-text token.
    pub tokens: Vec<u32>,
    /// Index of the completion's first token, at least 1 and below the number of tokens.
    pub prompt_tokens: usize,
    /// Number of tokens of the label at the beginning of the completion.
    pub label_tokens: usize,
    /// Index of the true label in `Label::ALL`.
    pub label: usize,
    /// Weight of its loss relative to that of other examples.
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

    /// Index of the first token after the label.
    pub fn rationale_from(&self) -> usize {
        self.prompt_tokens + self.label_tokens
    }

    /// Tokens that the loss counts, each token after the label as `rationale_weight` of one.
    pub fn weighted(&self, loss: Loss, rationale_weight: f64) -> f64 {
        let rationale = self.tokens.len() - self.rationale_from();
        let rest = self.supervised(loss) - rationale;
        rest as f64 + rationale_weight * rationale as f64
    }
}

/// The training and validation examples of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingSet {
    /// Examples to learn from.
    pub train: Vec<TokenizedExample>,
    /// Examples to validate on.
    pub validation: Vec<TokenizedExample>,
    /// First token of each label, in the order of `Label::ALL`.
    pub label_tokens: Vec<u32>,
    /// How contexts were truncated to the maximum sequence length.
    pub cuts: ContextCuts,
    /// Further tokens of each label, in the same order; empty with most tokenizers.
    pub label_tails: [Vec<u32>; 3],
}

/// How examples become tokens.
#[derive(Clone, Copy, Debug)]
pub struct ExampleEncoding<'a> {
    /// The model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The tokens of the labels.
    pub labels: &'a LabelTokens,
    /// How question and context are arranged.
    pub format: PromptFormat,
    /// Maximum tokens of an example.
    pub max_length: usize,
    /// The end-of-text token, the last of each example.
    pub eos: u32,
    /// Rows of the model's embedding; every token must be below.
    pub vocabulary: usize,
}

impl TrainingSet {
    /// Encodes the two splits.
    ///
    /// # Errors
    /// [`Error::NoExamples`] where a split is empty; [`Error::Example`] for an example that cannot be
    /// encoded.
    pub fn encode(
        train: &[Item],
        validation: &[Item],
        encoding: ExampleEncoding<'_>,
    ) -> Result<Self> {
        let ExampleEncoding {
            tokenizer,
            labels,
            format,
            max_length,
            eos,
            vocabulary,
        } = encoding;
        let mut cuts = ContextCuts::default();
        let mut split = |split: &'static str, items: &[Item]| {
            if items.is_empty() {
                return Err(Error::NoExamples { split });
            }
            let encode = |item: &Item| {
                let encoded = encode_item(tokenizer, format, item, max_length, eos)
                    .map_err(|source| Error::Example { split, source })?;
                check_embedding(tokenizer, &encoded.tokens, vocabulary).map_err(|source| {
                    let (id, source) = (item.id.clone(), Box::new(source));
                    let source = PromptError::Item { id, source };
                    Error::Example { split, source }
                })?;
                cuts.add(encoded.prompt_tokens, encoded.cut);
                Ok(TokenizedExample {
                    id: item.id.clone(),
                    group: item.group.clone(),
                    tokens: encoded.tokens,
                    prompt_tokens: encoded.prompt_tokens,
                    label_tokens: 1 + labels.rest(item.label).len(),
                    label: item.label.index(),
                    weight: 1.0,
                })
            };
            items.iter().map(encode).collect()
        };
        Ok(Self {
            train: split("train", train)?,
            validation: split("validation", validation)?,
            label_tokens: labels.ids().to_vec(),
            cuts,
            label_tails: Label::ALL.map(|label| labels.rest(label).to_vec()),
        })
    }

    /// Training examples, then validation examples: the pool that folds are drawn from.
    pub fn pool(&self) -> Vec<&TokenizedExample> {
        self.train.iter().chain(&self.validation).collect()
    }

    /// Weights the training loss of each example by its label; examples of a label without a weight
    /// have weight 1.
    pub fn weigh(&mut self, weights: &BTreeMap<Label, f64>) {
        for example in self.train.iter_mut().chain(&mut self.validation) {
            let weight = weights.get(&Label::ALL[example.label]);
            example.weight = weight.copied().unwrap_or(1.0);
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
        let encoding = ExampleEncoding {
            tokenizer: &tokenizer,
            labels: &labels,
            format: PromptFormat::default(),
            max_length,
            eos,
            vocabulary: tokenizer.get_vocab_size(true),
        };
        TrainingSet::encode(train, validation, encoding)
    }

    #[test]
    fn an_example_with_a_token_beyond_the_embedding_is_named() {
        let tokenizer = tokenizer();
        let labels = LabelTokens::new(&tokenizer).unwrap();
        let eos = tokenizer.token_to_id(EOS).unwrap();
        let all = tokenizer.get_vocab_size(true);
        let far = tokenizer.token_to_id("Ġ[").unwrap() as usize;
        let good = item(Label::Yes, "A small trial shows benefit.");
        let mut bad = item(Label::No, "Not significant.");
        (bad.id, bad.question) = ("rows.jsonl:7".into(), "Does it [x] help?".into());
        let encoding = |eos: u32, vocabulary: usize| ExampleEncoding {
            tokenizer: &tokenizer,
            labels: &labels,
            format: PromptFormat::default(),
            max_length: 512,
            eos,
            vocabulary,
        };
        let encode = |rows: &[Item], vocabulary: usize| {
            let validation = std::slice::from_ref(&good);
            TrainingSet::encode(rows, validation, encoding(eos, vocabulary))
        };
        let items = [good.clone(), bad];
        assert!(encode(&items, all).is_ok());
        // The end-of-text token is the last of the vocabulary, so a smaller embedding lacks it as well.
        assert_eq!(eos as usize, all - 1);
        let error = TrainingSet::encode(&items, &items[..1], encoding(0, far))
            .unwrap_err()
            .to_string();
        let expected = format!(
            "train: example \"rows.jsonl:7\": the text \" [\" is token {far}, and the model's embedding has only {far} rows"
        );
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn an_example_is_prompt_completion_and_end_of_text_with_the_requested_loss() {
        let items = [
            item(Label::Yes, "A small trial shows benefit."),
            item(Label::Uncertain, "Mixed."),
        ];
        let rows = encode(&items, &items[1..], 512).unwrap();
        let eos = tokenizer().token_to_id(EOS).unwrap();
        for (row, item) in rows.train.iter().zip(&items) {
            let completion = &row.tokens[row.prompt_tokens..];
            assert_eq!(completion[0], rows.label_tokens[item.label.index()]);
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
    fn an_empty_split_and_an_example_that_does_not_fit_are_named() {
        let good = [item(Label::Yes, "A small trial shows benefit.")];
        let error = encode(&good, &[], 512).unwrap_err().to_string();
        assert_eq!(
            error,
            "data: the validation split has no examples; expected at least 1"
        );
        let error = encode(&good, &good, 12).unwrap_err().to_string();
        assert!(
            error.starts_with("train: example \"pubmedqa-1\": "),
            "{error}"
        );
    }
}
