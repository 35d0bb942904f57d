//! `adapters/<name>/README.md`: an adapter's model card in the layout of Hugging Face's hub, YAML between
//! two lines `---`, then Markdown.
//!
//! It says what the run knows and nothing else: no date, no path of this machine, no figure that was not
//! measured. Keys and their legal values: the hub's documentation, "Model Cards" and `modelcard.md`.

mod data;
mod front;

use verdict_data::wilson;

use crate::error::Result;
use crate::folder::NewRun;
use crate::manifest::{AdapterRecord, Manifest};
use crate::validation::Score;

/// Name of the file in an adapter's folder, as PEFT writes it too.
pub const FILE: &str = "README.md";

/// Chance that a guess among the three labels is right.
const CHANCE: f64 = 1.0 / 3.0;

/// Writes the card of each adapter that a run saved, anew where there is one, and its hash into the
/// manifest.
pub(crate) fn write(run: &NewRun, manifest: &mut Manifest) -> Result<()> {
    for place in 0..manifest.adapters.len() {
        let record = &manifest.adapters[place];
        if record.diverged.is_none() {
            let text = card(manifest, record);
            let hash = run.add(&record.adapter.name, FILE, text.as_bytes())?;
            let files = &mut manifest.adapters[place].files;
            files.insert(FILE.to_owned(), hash);
        }
    }
    Ok(())
}

/// The card of an adapter that was saved; its record lists the other files of its folder.
pub fn card(manifest: &Manifest, record: &AdapterRecord) -> String {
    let card = Card { manifest, record };
    let parts = [
        card.front(),
        card.head(),
        card.uses(),
        card.usage(),
        card.base(),
        card.data(),
        card.procedure(),
        card.figures(),
        card.computed(),
        card.hashes(),
    ];
    let mut text = parts.join("\n");
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

struct Card<'a> {
    manifest: &'a Manifest,
    record: &'a AdapterRecord,
}

impl Card<'_> {
    /// Whether its figure is the out-of-fold one.
    fn folds(&self) -> bool {
        self.manifest.settings.folds.is_some()
    }

    fn head(&self) -> String {
        let name = &self.record.adapter.name;
        format!(
            "# {name}: a LoRA adapter that answers biomedical yes/no questions\n\n\
             Trained with {tool} over the frozen base model {base}. It learnt one form of answer, \
             `Yes|No|Uncertain. Rationale: one sentence`, and the logits of the three labels give a \
             probability of each.\n",
            tool = self.manifest.tool,
            base = self.base_name(),
        )
    }

    fn uses(&self) -> String {
        "## What it is for, and what not\n\n\
         For research on short answers to biomedical questions in English: to be judged against its \
         base model, calibrated, and compared.\n\n\
         **Not medical advice.** It must not decide about a patient. Not for questions that cannot be \
         answered with yes or no, not for other languages, and not as a source: its rationale is \
         generated, looks nothing up and may be wrong where the label is right.\n"
            .to_owned()
    }

    fn usage(&self) -> String {
        let name = &self.record.adapter.name;
        let gguf = self.manifest.settings.model.ends_with(".gguf");
        let layout = match gguf {
            true => " (the weights of the GGUF file above)",
            false => "",
        };
        format!(
            "## How to use it\n\n\
             With Verdict, from the run folder `RUN` that holds it as `adapters/{name}`:\n\n\
             ```\nverdict ask --run RUN --adapter {name} \"Do antibiotics help in acute bronchitis?\"\n```\n\n\
             With PEFT, `BASE` being the base model in Hugging Face layout{layout} and `ADAPTER` this \
             folder:\n\n\
             ```python\n\
             from peft import PeftModel\n\
             from transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
             tokenizer = AutoTokenizer.from_pretrained(BASE)\n\
             model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(BASE), ADAPTER)\n\
             prompt = tokenizer(\"Q: Do antibiotics help in acute bronchitis?\\nA:\", return_tensors=\"pt\")\n\
             answer = model.generate(**prompt, max_new_tokens=64)\n\
             ```\n\n\
             There is no chat template. The prompt is `Q: …`, a line break and `A:`; a context, where there is \
             one, stands in a line `Context: …` before it. `calibration.json` holds the temperature, \
             fitted on the rows of the section Validation, by which `verdict ask` calibrates the three \
             probabilities.\n"
        )
    }

    fn procedure(&self) -> String {
        let (settings, adapter) = (&self.manifest.settings, &self.record.adapter);
        let steps = match (&self.record.early_stop, self.record.kept_step) {
            (Some(left), Some(kept)) => format!(
                "{} of {} ({}); weights of step {kept}",
                left.step, self.manifest.steps, left.reason
            ),
            (Some(left), None) => {
                format!("{} of {} ({})", left.step, self.manifest.steps, left.reason)
            }
            (None, Some(kept)) => format!("{}; weights of step {kept}", self.manifest.steps),
            (None, None) => self.manifest.steps.to_string(),
        };
        let settings_table = toml::Table::try_from(settings).unwrap_or_default();
        let word = |key: &str| match settings_table.get(key) {
            Some(toml::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "none".to_owned(),
        };
        let grid = self.manifest.adapters.len();
        let rows = [
            ("LoRA rank", adapter.rank.to_string()),
            ("LoRA alpha", number(adapter.alpha)),
            ("LoRA dropout", number(adapter.dropout)),
            (
                "adapted modules",
                "every linear layer of every block".to_owned(),
            ),
            (
                "optimizer",
                "AdamW (betas 0.9 and 0.999, eps 1e-8), no weight decay".to_owned(),
            ),
            ("peak learning rate", format!("{:e}", adapter.lr)),
            ("schedule", word("schedule")),
            (
                "warm-up, share of the steps",
                number(self.manifest.settings.warmup),
            ),
            ("optimizer steps", steps),
            ("rows of a step", settings.batch.to_string()),
            ("most tokens of a row", settings.max_length.to_string()),
            (
                "clipping of the gradient's norm",
                match settings.clip > 0.0 {
                    true => number(settings.clip),
                    false => "none".to_owned(),
                },
            ),
            ("loss on", word("loss")),
            ("weights of classes", word("class_weights")),
            ("base stored as", word("base")),
            ("products in", word("compute")),
            ("seed", adapter.seed.to_string()),
            ("training rows", self.manifest.train_rows.to_string()),
        ];
        let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
        let among = match grid {
            1 => String::new(),
            _ => format!(
                "\nIt was trained in one pass with {}; each learns what it would have learnt alone.\n",
                match grid {
                    2 => "one other".to_owned(),
                    _ => format!("{} others", grid - 1),
                }
            ),
        };
        format!(
            "## Training procedure\n\n{}{among}",
            table(&["setting", "value"], &rows)
        )
    }

    /// The validation figures, how they came about, and what they do not show.
    fn figures(&self) -> String {
        let Some(score) = self.record.validation else {
            return "## Validation\n\nNot measured.\n".to_owned();
        };
        let (base, (low, _)) = (self.manifest.base, interval(score.accuracy, score.n));
        let mut rows = vec![
            scored("this adapter", score),
            scored("base model without it", base),
            vec!["a guess among three labels".into(), share(CHANCE)],
        ];
        let most = self.commonest();
        if let Some((label, most)) = &most {
            rows.push(vec![format!("always {label}"), share(*most)]);
        }
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|mut row| {
                row.resize(5, String::new());
                row
            })
            .collect();
        let on = match self.folds() {
            true => format!(
                "Out of fold: each row was judged by adapters of the same settings that did not see it \
                 ({} folds, drawn {}); the adapter saved here saw all rows.",
                self.manifest.settings.folds.unwrap_or_default(),
                match self.manifest.settings.repeats.unwrap_or(1) {
                    1 => "once".to_owned(),
                    times => format!("{times} times; the figure is their mean"),
                }
            ),
            false => "On the validation rows, which it did not learn from.".to_owned(),
        };
        let head = [
            "who",
            "label accuracy",
            "95 % (Wilson)",
            "rows",
            "loss, nats a token",
        ];
        let mut text = format!("## Validation\n\n{on}\n\n{}", table(&head, &rows));
        let bar = most.map_or(CHANCE, |(_, most)| most.max(CHANCE));
        if low <= bar {
            text.push_str(&format!(
                "\nThe interval reaches down to {}: that it knows more than guessing, or always giving the \
                 commonest label, would is not shown by these rows.\n",
                share(low)
            ));
        }
        if self.manifest.adapters.len() > 1 || self.record.kept_step.is_some() {
            let best = self.manifest.best == self.record.adapter.name;
            text.push_str(&format!(
                "\nThese rows were also used to choose{}, so the figure of what was chosen is too kind. It is \
                 {} of {}, by this rule: {}.\n",
                match self.record.kept_step {
                    Some(_) => " the step",
                    None => " among adapters",
                },
                match best {
                    true => "the chosen one",
                    false => "one",
                },
                self.manifest.adapters.len(),
                self.manifest.rule
            ));
        }
        if let Some(nested) = &self.manifest.nested {
            let (low, high) = interval(nested.accuracy, nested.n);
            text.push_str(&format!(
                "\nNested cross-validation of the whole procedure, choosing included: label accuracy {} \
                 [{}–{}] on {} rows.\n",
                share(nested.accuracy),
                share(low),
                share(high),
                nested.n
            ));
        }
        text
    }

    fn computed(&self) -> String {
        if self.manifest.machines.is_empty() {
            return "## Computed on\n\nNot noted.\n".to_owned();
        }
        let rows: Vec<Vec<String>> = self
            .manifest
            .machines
            .iter()
            .map(|machine| {
                let memory = |gib: u64| format!("{gib} GiB");
                vec![
                    machine.program(),
                    machine.words(),
                    format!("{} {}", machine.system, machine.architecture),
                    machine.processor.clone(),
                    machine.threads.to_string(),
                    machine.memory_gib.map_or_else(String::new, memory),
                ]
            })
            .collect();
        let head = [
            "program",
            "computed on",
            "system",
            "processor",
            "threads",
            "memory",
        ];
        let several = match rows.len() {
            1 => "",
            _ => "\nThe run went on from a checkpoint; the machines stand in their order.\n",
        };
        format!("## Computed on\n\n{}{several}", table(&head, &rows))
    }

    fn hashes(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .record
            .files
            .iter()
            .filter(|(file, _)| *file != FILE)
            .map(|(file, hash)| vec![code(file), code(hash)])
            .collect();
        format!(
            "## Files\n\n{}\nThe run's `MANIFEST.json` holds these hashes, this file's own, and every setting.\n",
            table(&["file", "SHA-256"], &rows)
        )
    }
}

/// A row of figures.
fn scored(who: &str, score: Score) -> Vec<String> {
    let (low, high) = interval(score.accuracy, score.n);
    vec![
        who.to_owned(),
        share(score.accuracy),
        format!("{}–{}", share(low), share(high)),
        score.n.to_string(),
        format!("{:.3}", score.loss),
    ]
}

/// Wilson's 95 % interval of an accuracy.
fn interval(accuracy: f64, n: usize) -> (f64, f64) {
    let right = (accuracy * n as f64).round() as usize;
    wilson(right.min(n), n)
}

fn share(of: f64) -> String {
    format!("{:.1} %", 100.0 * of)
}

/// A number in as many digits as it has.
fn number(of: f64) -> String {
    of.to_string()
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// A Markdown table.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let plain = |cell: &String| cell.replace('|', "\\|").replace('\n', " ");
    let mut text = line(head.iter().map(|cell| (*cell).to_owned()).collect());
    text.push_str(&line(head.iter().map(|_| "---".to_owned()).collect()));
    for row in rows {
        text.push_str(&line(row.iter().map(plain).collect()));
    }
    text
}

#[cfg(test)]
mod tests;
