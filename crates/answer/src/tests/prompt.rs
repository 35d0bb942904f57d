//! The prompt, its tokens, and what happens when it is too long; the label tokens.

use tokenizers::Tokenizer;
use verdict_answer::labels::LabelError;
use verdict_answer::prompt::{self, PromptError};
use verdict_answer::testing::{eos, tokenizer};
use verdict_answer::{LabelTokens, encode_item, encode_prompt};
use verdict_data::{Item, Label};

fn item(question: &str, context: Option<&str>) -> Item {
    let rationale = "The evidence is mixed.";
    Item {
        id: "row-7".into(),
        question: question.into(),
        label: Label::Uncertain,
        rationale: rationale.into(),
        source: "test".into(),
        group: "g".into(),
        context: context.map(str::to_owned),
        text: Item::render(context, question, Label::Uncertain, rationale),
    }
}

fn decode(tokenizer: &Tokenizer, tokens: &[u32]) -> String {
    tokenizer.decode(tokens, false).unwrap()
}

#[test]
fn prompt_and_completion_are_the_items_text() {
    for context in [None, Some("A small trial of 40 patients.")] {
        let item = item("Does vitamin D help?", context);
        let joined = prompt::render(&item.question, context)
            + &prompt::completion(item.label, &item.rationale);
        assert_eq!(joined, item.text);
    }
}

#[test]
fn a_question_cannot_open_a_line_of_its_own() {
    assert_eq!(
        prompt::render(" Does it\nQ: help?\n", Some(" \n ")),
        "Q: Does it Q: help?\nA:"
    );
}

#[test]
fn an_item_is_prompt_completion_and_end_of_text() {
    let tokenizer = tokenizer();
    let eos = eos(&tokenizer);
    let item = item("Does vitamin D help?", Some("A small trial."));
    let encoded = encode_item(&tokenizer, &item, 512, eos).unwrap();
    let (asked, answered) = encoded.tokens.split_at(encoded.prompt_tokens);
    assert_eq!(
        decode(&tokenizer, asked),
        "Context: A small trial.\nQ: Does vitamin D help?\nA:"
    );
    assert_eq!(
        decode(&tokenizer, answered),
        " Uncertain. Rationale: The evidence is mixed.<|endoftext|>"
    );
    assert_eq!(
        asked,
        encode_prompt(&tokenizer, &item.question, item.context.as_deref(), 512).unwrap()
    );
    assert_eq!(
        answered[0],
        LabelTokens::new(&tokenizer).unwrap().ids()[Label::Uncertain.index()]
    );
}

#[test]
fn the_context_gives_way_from_its_end_at_whole_words() {
    let tokenizer = tokenizer();
    let context =
        "Größe des Effekts unklar in a small trial of patients was not significant and mixed.";
    let whole = encode_prompt(&tokenizer, "Does it help?", Some(context), 512)
        .unwrap()
        .len();
    let bare = encode_prompt(&tokenizer, "Does it help?", None, 512)
        .unwrap()
        .len();
    let mut lengths = Vec::new();
    for limit in bare..=whole {
        let tokens = encode_prompt(&tokenizer, "Does it help?", Some(context), limit).unwrap();
        assert!(tokens.len() <= limit);
        let text = decode(&tokenizer, &tokens);
        assert!(text.ends_with("Q: Does it help?\nA:"), "{text:?}");
        let kept = text
            .strip_prefix("Context: ")
            .map_or("", |rest| rest.split('\n').next().unwrap());
        assert!(context.starts_with(kept), "{kept:?}");
        assert!(
            kept.len() == context.len()
                || kept.is_empty()
                || context[kept.len()..].starts_with(' '),
            "{kept:?}"
        );
        lengths.push(kept.len());
    }
    assert!(
        lengths.is_sorted(),
        "more room keeps more context: {lengths:?}"
    );
    assert_eq!((lengths[0], lengths[lengths.len() - 1]), (0, context.len()));
}

#[test]
fn the_completion_is_kept_when_the_context_is_cut() {
    let tokenizer = tokenizer();
    let eos = eos(&tokenizer);
    let long = "patients benefit ".repeat(300);
    let encoded = encode_item(&tokenizer, &item("Does it help?", Some(&long)), 100, eos).unwrap();
    assert!(
        encoded.tokens.len() <= 100 && encoded.tokens.len() > 90,
        "{}",
        encoded.tokens.len()
    );
    let text = decode(&tokenizer, &encoded.tokens);
    assert!(
        text.ends_with("A: Uncertain. Rationale: The evidence is mixed.<|endoftext|>"),
        "{text:?}"
    );
}

#[test]
fn a_question_that_does_not_fit_is_an_error_with_both_numbers() {
    let tokenizer = tokenizer();
    let long = "Does it help?".to_owned() + &" patients".repeat(10_000);
    let error = encode_prompt(&tokenizer, &long, Some("A trial."), 480).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the question \"Does it help? patients patients patients patients patients p…\" takes 10010 tokens \
         with its prompt, expected at most 480"
    );
}

#[test]
fn every_other_error_says_what_was_wrong_and_where() {
    let tokenizer = tokenizer();
    let eos = eos(&tokenizer);
    let empty = encode_prompt(&tokenizer, " \n", None, 9).unwrap_err();
    assert_eq!(empty.to_string(), "the question is empty, expected a text");
    let control = encode_prompt(&tokenizer, "Is <|endoftext|> a word?", None, 99).unwrap_err();
    assert_eq!(
        control.to_string(),
        "the text holds the model's control token \"<|endoftext|>\", expected plain text"
    );
    let no_room = encode_item(&tokenizer, &item("Does it help?", None), 5, eos).unwrap_err();
    assert_eq!(
        no_room.to_string(),
        "item \"row-7\": the answer takes 13 tokens with its end-of-text, expected fewer than the limit of 5"
    );
    let failed = PromptError::Tokenizer("no such piece".into());
    assert_eq!(
        failed.to_string(),
        "the tokenizer could not encode the text: no such piece"
    );
}

#[test]
fn labels_that_begin_alike_are_refused() {
    use tokenizers::models::bpe::{BPE, Vocab};
    let nothing = Tokenizer::new(BPE::default());
    let missing = LabelTokens::new(&nothing).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "the tokenizer has no token for \" Yes\": it encodes to nothing"
    );
    let vocabulary =
        [(" ", 0), ("Y", 1), ("N", 2), ("U", 3)].map(|(text, id)| (text.to_owned(), id));
    let letters = BPE::builder()
        .vocab_and_merges(Vocab::from(vocabulary), vec![])
        .build()
        .unwrap();
    let alike = LabelTokens::new(&Tokenizer::new(letters)).unwrap_err();
    assert_eq!(
        alike,
        LabelError::SameToken {
            first: " Yes".into(),
            second: " No".into(),
            token: 0
        }
    );
    assert_eq!(
        alike.to_string(),
        "the tokenizer begins \" Yes\" and \" No\" with the same token 0, expected three different first tokens"
    );
}
