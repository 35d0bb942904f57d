//! The card's sections on the base model and the data set.

use std::path::Path;

use verdict_data::Label;

use super::{Card, code, table};

impl Card<'_> {
    /// The name of the base model: its repository on the hub, else its name, else the last part of its
    /// path.
    pub(super) fn base_name(&self) -> String {
        let model = self.manifest.provenance.model.as_ref();
        if let Some(repository) = model.and_then(|model| model.repository()) {
            return repository.to_owned();
        }
        let named = Path::new(&self.manifest.settings.model);
        let last = named.file_name().unwrap_or(named.as_os_str());
        last.to_string_lossy().into_owned()
    }

    pub(super) fn base(&self) -> String {
        let of = &self.manifest.provenance;
        let mut rows = vec![vec!["name".to_owned(), self.base_name()]];
        let mut add = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
        if let Some(model) = &of.model {
            if let Some(source) = &model.source {
                add("source", code(source));
            }
            add("family", model.family.clone());
            add("parameters", model.parameters.to_string());
            let (layers, width) = (model.num_hidden_layers, model.hidden_size);
            add(
                "shape",
                format!(
                    "{layers} blocks of width {width}, {} query heads, {} key and value heads, vocabulary {}",
                    model.num_attention_heads, model.num_key_value_heads, model.vocab_size
                ),
            );
            let licence = model.licence.as_deref().unwrap_or("not known to Verdict");
            add("licence of its weights", licence.to_owned());
            if let Some(hash) = &model.tokenizer_sha256 {
                add("SHA-256 of tokenizer.json", code(hash));
            }
        }
        add("SHA-256", code(&of.model_sha256));
        format!(
            "## Base model\n\n{}\nThis card sets no licence for the adapter: its publisher chooses one, considering the \
             licences of the base model and the data.\n",
            table(&["", ""], &rows)
        )
    }

    pub(super) fn data(&self) -> String {
        let of = &self.manifest.provenance;
        let hash = code(&of.data_manifest_sha256);
        let Some(data) = &of.data else {
            return format!("## Training data\n\nSHA-256 of the data set's manifest: {hash}.\n");
        };
        let sources: Vec<Vec<String>> = data
            .sources
            .iter()
            .map(|source| {
                let files = source.files.iter();
                let files: Vec<String> = files
                    .map(|file| format!("{} {}", code(&file.name), code(&file.sha256)))
                    .collect();
                let kept: usize = data
                    .splits
                    .iter()
                    .filter_map(|split| split.sources.get(&source.source))
                    .sum();
                vec![
                    code(&source.source),
                    source.hub.as_deref().map_or_else(String::new, code),
                    source.rows.to_string(),
                    kept.to_string(),
                    files.join(", "),
                ]
            })
            .collect();
        let splits: Vec<Vec<String>> = data
            .splits
            .iter()
            .map(|split| {
                let mut row = vec![split.split.clone(), split.rows.to_string()];
                let labels = Label::ALL.iter().map(|label| split.labels.get(label));
                row.extend(labels.map(|rows| rows.copied().unwrap_or_default().to_string()));
                row.push(code(&split.sha256));
                row
            })
            .collect();
        let used = match self.folds() {
            true => {
                "The training and validation examples together were the pool of cross-validation."
            }
            false => "It was trained on the train split.",
        };
        format!(
            "## Training data\n\n{used} The test split is not used in training. Built by Verdict {version}, seed {seed}; SHA-256 of its \
             manifest: {hash}.\n\n{}\n{}",
            table(
                &["split", "examples", "Yes", "No", "Uncertain", "SHA-256"],
                &splits
            ),
            table(
                &[
                    "source",
                    "on the hub",
                    "rows read",
                    "examples kept",
                    "files, SHA-256"
                ],
                &sources
            ),
            version = data.tool_version,
            seed = data.seed,
        )
    }

    /// The most common label of the examples that were scored, and its share.
    pub(super) fn most_common_label(&self) -> Option<(Label, f64)> {
        let data = self.manifest.provenance.data.as_ref()?;
        let scored: &[&str] = match self.folds() {
            true => &["train", "validation"],
            false => &["validation"],
        };
        let rows = |label: &Label| -> usize {
            let splits = scored.iter().filter_map(|split| data.split(split));
            splits.filter_map(|split| split.labels.get(label)).sum()
        };
        let all: usize = Label::ALL.iter().map(rows).sum();
        // Of equals the first, in the order of every table.
        let most = Label::ALL.into_iter().rev().max_by_key(rows)?;
        (all > 0).then(|| (most, rows(&most) as f64 / all as f64))
    }
}
