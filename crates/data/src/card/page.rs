//! The contents of a card, in order.

use verdict_common::{counted, grouped, percent};
use verdict_page::{Badge, Block, Example, Figure, Page, Part, Table};

use super::{checks, figures, rights, tables};
use crate::manifest::Manifest;
use crate::{Item, Label, wilson};

/// The card of a manifest and examples.
pub(super) fn page(manifest: &Manifest, examples: &[Item]) -> Page {
    let mut blocks = vec![Block::Text(about(manifest)), Block::Text(summary(manifest))];
    let mut section = |title: &str, content: Vec<Option<Block>>| {
        let mut content = content.into_iter().flatten().peekable();
        if content.peek().is_some() {
            blocks.push(Block::Section(title.to_owned()));
            blocks.extend(content);
        }
    };
    let table = |table: Table| Some(Block::Table(table));
    let text = |text: Option<String>| text.map(Block::Text);
    let draw = |figure: Option<Figure>| figure.map(Block::Figure);
    section(
        "How it was made",
        vec![
            table(tables::settings(manifest)),
            table(tables::sources(manifest)),
            tables::files(manifest).map(Block::Table),
            table(tables::outputs(manifest)),
        ],
    );
    section(
        "Labels",
        vec![
            draw(figures::labels(manifest)),
            draw(figures::sources(manifest)),
            table(tables::labels(manifest)),
            tables::by_source(manifest).map(Block::Table),
        ],
    );
    section(
        "Years of publication",
        vec![
            draw(figures::years(manifest)),
            text(tables::years_text(manifest)),
            tables::years(manifest).map(Block::Table),
        ],
    );
    section(
        "MeSH",
        vec![
            draw(figures::branches(manifest)),
            text(tables::mesh_text(manifest)),
            tables::branches(manifest).map(Block::Table),
            tables::headings(manifest).map(Block::Table),
        ],
    );
    let mut lengths: Vec<Option<Block>> = figures::lengths(manifest)
        .into_iter()
        .map(|figure| draw(Some(figure)))
        .collect();
    lengths.extend(tables::lengths(manifest).into_iter().map(table));
    section("Lengths in words", lengths);
    section("Rules", vec![table(checks::rules(manifest))]);
    section(
        "What became of every row",
        vec![
            draw(figures::outcomes(manifest)),
            table(checks::outcomes(manifest)),
        ],
    );
    section(
        "Leaks",
        vec![
            Some(Block::Text(checks::leaks_text(manifest))),
            table(checks::leaks(manifest)),
            checks::suspects(manifest).map(Block::Table),
        ],
    );
    section(
        "Question-only baseline",
        vec![
            draw(figures::artefact(manifest)),
            text(checks::artefact_text(manifest)),
            checks::artefact(manifest).map(Block::Table),
        ],
    );
    section(
        "Class weights",
        vec![
            text(checks::weights_text(manifest)),
            checks::weights(manifest).map(Block::Table),
        ],
    );
    section(
        "Rows without a label",
        vec![text(checks::unlabelled_text(manifest))],
    );
    let mut shown = vec![text((!examples.is_empty()).then(|| {
        "The first examples of each source and class in the training set, shortened. Validation and test set are not shown.".into()
    }))];
    shown.extend(example_blocks(manifest, examples));
    section("Examples", shown);
    section("Licences", vec![table(rights::licences(manifest))]);
    section("Limits", vec![Some(Block::List(rights::limits(manifest)))]);
    Page {
        title: format!(
            "Data card: {} answered Yes, No or Uncertain",
            counted(manifest.rows_kept, "question")
        ),
        blocks,
    }
}

fn about(manifest: &Manifest) -> String {
    let field = match tables::kinds(manifest).any(|kind| !matches!(kind, "jsonl" | "csv")) {
        true => "biomedical ",
        false => "",
    };
    let context = match manifest.settings.contexts {
        true => ", with the abstract that it is about",
        false => "",
    };
    format!(
        "For training and evaluating language models that answer a closed {field}question with one word (Yes, No or \
         Uncertain) and one sentence that says why. An example is a line of JSON: the question{context}, its label, its \
         rationale, the source it came from, and the group it belongs to."
    )
}

fn summary(manifest: &Manifest) -> String {
    let rows = manifest.rows_kept;
    let splits = manifest.splits.iter().map(|split| {
        let what = match split.split.as_str() {
            "train" => "for training",
            "validation" => "for validation",
            _ => "for the final test",
        };
        format!("{} {what}", grouped(split.rows))
    });
    let labels = Label::ALL.map(|label| {
        let count = tables::label_rows(manifest, label);
        format!("{} {label} ({})", grouped(count), percent(count, rows))
    });
    let mut text = format!(
        "{} in {}: {}. By label: {}. They are {} of the {} that were read from {}.",
        counted(rows, "row"),
        counted(manifest.groups, "group"),
        splits.collect::<Vec<_>>().join(", "),
        labels.join(", "),
        percent(rows, manifest.rows_read),
        counted(manifest.rows_read, "row"),
        counted(manifest.sources.len(), "source"),
    );
    if let Some(unlabelled) = &manifest.unlabelled {
        text += &format!(
            " Another {} without a label are in a file of their own.",
            counted(unlabelled.rows, "row")
        );
    }
    if let Some(found) = checks::guessed(manifest) {
        let (low, high) = wilson(found.right, found.rows);
        text += &format!(
            " A question-only baseline predicts {} of the labels (95 % interval {:.1}–{:.1}), the commonest label {}.",
            percent(found.right, found.rows),
            100.0 * low,
            100.0 * high,
            percent(found.majority, found.rows),
        );
    }
    text
}

/// Characters of a text that an example shows.
const SHOWN: usize = 280;

fn example_blocks(manifest: &Manifest, examples: &[Item]) -> Vec<Option<Block>> {
    let mut sources: Vec<&str> = tables::kinds(manifest).collect();
    let place = |source: &str| sources.iter().position(|kind| *kind == source);
    let missing: Vec<&str> = examples
        .iter()
        .map(|item| item.source.as_str())
        .filter(|source| place(source).is_none())
        .collect();
    sources.extend(missing);
    let place = |source: &str| sources.iter().position(|kind| *kind == source);
    let mut examples: Vec<&Item> = examples.iter().collect();
    examples.sort_by_key(|item| (place(&item.source), item.label.index()));
    let block = |item| Some(Block::Example(example(item)));
    examples.into_iter().map(block).collect()
}

fn example(item: &Item) -> Example {
    let part = |class, lead: String, text: &str| Part {
        class,
        lead,
        text: shortened(text),
    };
    let context = item.context.as_deref();
    let mut parts: Vec<Part> = context
        .map(|text| part("context", "Context: ".into(), text))
        .into_iter()
        .collect();
    let answer = format!("A: {}. Rationale: ", item.label);
    parts.push(part("question", "Q: ".into(), &item.question));
    parts.push(part("", answer, &item.rationale));
    Example {
        badges: vec![Badge {
            class: figures::colour(item.label),
            text: item.label.to_string(),
        }],
        source: item.source.clone(),
        id: item.id.clone(),
        parts,
    }
}

/// A text of at most [`SHOWN`] characters, cut between words where it can be.
fn shortened(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(SHOWN) else {
        return text.to_owned();
    };
    let cut = &text[..end];
    let cut = cut.rsplit_once(' ').map_or(cut, |(before, _)| before);
    format!("{} …", cut.trim_end())
}
