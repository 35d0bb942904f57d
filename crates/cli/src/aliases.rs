//! Other names of flags: those that PEFT, TRL, Unsloth, axolotl and vLLM have for the same thing, and those of earlier
//! versions of Verdict. They are accepted on the command line and, with underscores, as keys of settings files; help does
//! not list them. Names of flags that mean something else have a hint instead, in `foreign.rs`.

use clap::Command;

/// A flag, the key of settings files, and other names of both, without dashes in front.
struct Names {
    /// As help has it.
    flag: &'static str,
    /// As settings are stored.
    key: &'static str,
    others: &'static [&'static str],
}

const fn names(flag: &'static str, key: &'static str, others: &'static [&'static str]) -> Names {
    Names { flag, key, others }
}

const NAMES: &[Names] = &[
    names("rank", "rank", &["lora-r", "lora-rank", "r", "ranks"]),
    names("lora-alpha", "lora_alpha", &["alpha"]),
    names("dropout", "dropout", &["lora-dropout"]),
    names("lr", "lr", &["learning-rate"]),
    names("seed", "seed", &["random-seed"]),
    names("epochs", "epochs", &["num-train-epochs", "num-epochs"]),
    names("steps", "steps", &["max-steps", "num-steps", "iters"]),
    names(
        "batch",
        "batch",
        &[
            "batch-size",
            "train-batch-size",
            "per-device-train-batch-size",
        ],
    ),
    names(
        "max-length",
        "max_length",
        &[
            "max-seq-length",
            "max-seq-len",
            "max-sequence-length",
            "sequence-len",
            "model-max-length",
            "cutoff-len",
        ],
    ),
    names("warmup-ratio", "warmup", &["warmup"]),
    names(
        "lr-schedule",
        "schedule",
        &["schedule", "lr-scheduler-type", "lr-scheduler"],
    ),
    names("max-grad-norm", "clip", &["clip", "gradient-clipping"]),
    names("validate-every", "validate_every", &["eval-steps"]),
    names("checkpoint-every", "checkpoint_every", &["save-steps"]),
    names("patience", "patience", &["early-stopping-patience"]),
    names("micro-batch-tokens", "pass_tokens", &["pass-tokens"]),
    names("base", "base", &["base-quantization", "quantization"]),
    names(
        "compute",
        "compute",
        &["compute-dtype", "dtype", "bnb-4bit-compute-dtype"],
    ),
    names(
        "model",
        "model",
        &["model-name-or-path", "model-name", "base-model"],
    ),
    names("out", "out", &["output-dir", "output"]),
    names("overwrite", "overwrite", &["overwrite-output-dir"]),
    names("max-new-tokens", "max_new_tokens", &["max-tokens"]),
    names(
        "max-prompt-tokens",
        "max_prompt_tokens",
        &["max-prompt-length"],
    ),
    names("unconstrained", "unconstrained", &["free"]),
    names("target-error-rate", "target_error_rate", &["error-rate"]),
    names("full-answers", "full_answers", &["written"]),
    names("dialogues", "dialogues", &["multi-turn"]),
    names("bootstrap-samples", "bootstrap_samples", &["replicates"]),
    names("max-per-class", "max_per_class", &["at-most"]),
    names("unbalanced", "unbalanced", &["natural"]),
    names(
        "conflicting-labels",
        "conflicting_labels",
        &["disagreement"],
    ),
    names(
        "max-context-tokens",
        "max_context_tokens",
        &["context-tokens"],
    ),
];

/// A command, and the commands below it, with the other names of their flags.
pub fn add(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let found = NAMES
            .iter()
            .find(|names| Some(names.flag) == argument.get_long());
        match found {
            Some(names) => argument.aliases(names.others),
            None => argument,
        }
    });
    command.mut_subcommands(add)
}

/// The key of a settings file by any of its names; none for a name that is not in the table.
pub fn key(written: &str) -> Option<&'static str> {
    let name = written.replace('_', "-");
    let is = |names: &&Names| names.flag == name || names.others.contains(&&*name);
    NAMES.iter().find(is).map(|names| names.key)
}

/// The flag of a key.
pub fn flag(key: &str) -> String {
    let found = NAMES.iter().find(|names| names.key == key);
    found.map_or_else(|| key.replace('_', "-"), |names| names.flag.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;
    use crate::args::{Cli, Command as Verdict};
    use crate::commands::train;

    /// A value that a flag of `train` takes, and that is not its default.
    fn value(flag: &str) -> &'static str {
        match flag {
            "lr-schedule" => "cosine",
            "base" => "bf16",
            "compute" => "f32",
            "model" | "out" => "somewhere",
            "dropout" | "warmup-ratio" | "lr" => "0.25",
            _ => "7",
        }
    }

    fn train(words: &[&str]) -> train::Args {
        let words = ["verdict", "train"].iter().chain(words);
        match Cli::read(words).expect("good usage").command {
            Verdict::Train(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_other_name_of_a_training_flag_reaches_the_same_setting_from_line_and_file() {
        let defaults = train(&[]).settings().expect("good");
        let known = Cli::command();
        let known = known.find_subcommand("train").expect("a command");
        let mut seen = 0;
        for names in NAMES {
            let Some(argument) = known
                .get_arguments()
                .find(|argument| argument.get_long() == Some(names.flag))
            else {
                continue;
            };
            if !argument.get_action().takes_values() {
                continue;
            }
            let value = value(names.flag);
            let expected = train(&[&format!("--{}", names.flag), value]).settings();
            let expected = expected.expect("good");
            assert_ne!(expected, defaults, "--{}", names.flag);
            for other in names.others.iter().chain([&names.flag]) {
                seen += 1;
                let found = train(&[&format!("--{other}"), value]).settings();
                assert_eq!(found.expect("good"), expected, "--{other}");
                let file = tempfile::NamedTempFile::new().expect("a file");
                let quoted = match value.parse::<f64>() {
                    Ok(_) => value.to_owned(),
                    Err(_) => format!("{value:?}"),
                };
                let text = format!("{} = {quoted}\n", other.replace('-', "_"));
                std::fs::write(file.path(), text).expect("written");
                let path = file.path().display().to_string();
                let found = train(&["--config", &path]).settings();
                assert_eq!(found.expect("good"), expected, "{other} in a file");
            }
        }
        assert!(seen > 50, "{seen}");
    }

    #[test]
    fn every_other_name_of_any_flag_is_taken_by_its_command() {
        fn flags(command: &Command, found: &mut BTreeSet<String>) {
            for argument in command.get_arguments() {
                let Some(long) = argument.get_long() else {
                    continue;
                };
                let others = argument.get_all_aliases().unwrap_or_default();
                let expected = NAMES.iter().find(|names| names.flag == long);
                let expected = expected.map_or(&[][..], |names| names.others);
                assert_eq!(others, expected, "{}: --{long}", command.get_name());
                found.insert(long.to_owned());
            }
            command.get_subcommands().for_each(|of| flags(of, found));
        }
        let mut found = BTreeSet::new();
        flags(&Cli::definition(), &mut found);
        for names in NAMES {
            assert!(found.contains(names.flag), "no flag --{}", names.flag);
        }
    }

    #[test]
    fn a_name_stands_once() {
        let all = NAMES
            .iter()
            .flat_map(|names| names.others.iter().chain([&names.flag]));
        let mut seen = BTreeSet::new();
        for name in all {
            assert!(seen.insert(name), "{name}");
        }
    }
}
