//! The published examples, cleaned by the project's own reader.

use std::path::Path;

use verdict_data::{Balance, BuildSettings, DataSet, Item, Source, Split, build};

/// All examples of PubMedQA's expert-labelled part and of BioASQ, or `None` with a line that says which test is skipped.
pub fn items(test: &str) -> Option<Vec<Item>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !data.join("pubmedqa/ori_pqal.json").is_file() || !data.join("bioasq").is_dir() {
        print(&format!(
            "skipped {test}: no published data in {}",
            data.display()
        ));
        return None;
    }
    let out = tempfile::tempdir().expect("a folder");
    let sources = [
        Source::PubmedqaLabeled(data.join("pubmedqa/ori_pqal.json")),
        Source::Bioasq(data.join("bioasq")),
    ];
    let mut settings = BuildSettings::new(sources, out.path().join("set"));
    settings.protect = Vec::new();
    settings.balance = Balance::Natural;
    let report = build(&settings).expect("a set");
    let set = DataSet::read(&report.out).expect("the set");
    let mut items: Vec<Item> = Split::ALL
        .into_iter()
        .flat_map(|split| set.split(split).to_vec())
        .collect();
    items.sort_by(|a, b| a.id.cmp(&b.id));
    Some(items)
}

/// Prints a line besides the test output.
#[allow(clippy::print_stderr)]
pub fn print(text: &str) {
    eprintln!("{text}");
}
