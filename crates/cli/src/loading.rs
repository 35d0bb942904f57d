//! Opening a model for a command: find it, read its tokenizer, load its weights.

use std::cell::RefCell;
use std::path::Path;

use tokenizers::Tokenizer;
use verdict_answer::Answerer;
use verdict_formats::{Adapter, Checkpoint};
use verdict_model::{AdapterBank, Base, Compute, Isa, LoadOptions, Model};
use verdict_train::{RunFolder, TrainSettings};

use crate::failure::{Failure, Result};
use crate::models::{self, ResolvedModel};
use crate::printer::{Printer, Progress};

/// How a model is held and computed: flags of `ask` and `eval`.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Machine")]
pub struct MachineFlags {
    /// How the base is stored [default: as the run trained it, int8 without a run]
    #[arg(long, value_name = "TYPE", value_parser = ["int8", "bf16", "f32"])]
    pub base: Option<String>,
    /// Numbers of the matrix products [default: as the run trained it, auto without a run]
    #[arg(long, value_name = "TYPE", value_parser = ["auto", "bf16", "f32"])]
    pub compute: Option<String>,
    /// auto or cpu; this build has no GPU code [default: auto]
    #[arg(long)]
    pub device: Option<String>,
    /// Processor threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

impl MachineFlags {
    /// The flags laid over a run's settings (or the defaults), checked.
    pub fn over(&self, run: Option<&TrainSettings>) -> Result<LoadOptions> {
        let mut settings = run.cloned().unwrap_or_default();
        // A run's number of threads is the training machine's; what is asked here runs here.
        settings.threads = self.threads;
        settings.base = match self.base.as_deref() {
            Some("f32") => verdict_train::Base::F32,
            Some("bf16") => verdict_train::Base::Bf16,
            Some(_) => verdict_train::Base::Int8,
            None => settings.base,
        };
        settings.compute = match self.compute.as_deref() {
            Some("f32") => verdict_train::Compute::F32,
            Some("bf16") => verdict_train::Compute::Bf16,
            Some(_) => verdict_train::Compute::Auto,
            None => settings.compute,
        };
        if let Some(device) = &self.device {
            settings.device.clone_from(device);
        }
        let ours =
            |fault: &verdict_train::Fault| matches!(fault.key.as_str(), "device" | "threads");
        let faults: Vec<String> = settings
            .faults()
            .iter()
            .filter(|fault| ours(fault))
            .map(|f| format!("--{f}"))
            .collect();
        if !faults.is_empty() {
            return Err(Failure::faults(faults));
        }
        Ok(options(&settings))
    }
}

/// Settings of a run as the model wants them.
pub fn options(settings: &TrainSettings) -> LoadOptions {
    LoadOptions {
        base: match settings.base {
            verdict_train::Base::F32 => Base::F32,
            verdict_train::Base::Bf16 => Base::Bf16,
            verdict_train::Base::Int8 => Base::Int8,
        },
        compute: match settings.compute {
            verdict_train::Compute::Auto => None,
            verdict_train::Compute::F32 => Some(Compute::F32),
            verdict_train::Compute::Bf16 => Some(Compute::Bf16),
        },
        threads: settings.threads.unwrap_or(0),
        isa: Isa::detect(),
    }
}

/// A model that was found and opened; its weights are not loaded yet.
pub struct Source {
    checkpoint: Checkpoint,
    name: String,
}

/// Opens a finished run.
pub fn run_folder(path: &Path) -> Result<RunFolder> {
    if !path.is_dir() {
        let failure = Failure::input(format!(
            "{}: expected a run folder, found none",
            path.display()
        ));
        return Err(failure.hint("`verdict train` makes one"));
    }
    Ok(RunFolder::open(path)?)
}

/// Finds a model (folder, GGUF file, hub name or built-in name), fetching it where it must be.
pub fn find(spec: &str, printer: &Printer) -> Result<Source> {
    let model = resolve(spec, printer)?;
    Ok(Source {
        checkpoint: Checkpoint::open(&model.path)?,
        name: model.name,
    })
}

/// Finds a model's files, with progress where they must be fetched.
pub fn resolve(spec: &str, printer: &Printer) -> Result<ResolvedModel> {
    let bars: RefCell<Option<(String, Progress)>> = RefCell::new(None);
    let seen = |progress: models::Progress<'_>| match progress {
        models::Progress::Note(text) => printer.note(text),
        models::Progress::Bytes { file, done, total } => {
            let mut bar = bars.borrow_mut();
            if bar.as_ref().is_none_or(|(name, _)| name != file) {
                *bar = Some((file.to_owned(), printer.download(file, total)));
            }
            if let Some((_, progress)) = &*bar {
                progress.set(done, "");
            }
        }
    };
    Ok(models::resolve(spec, &seen)?)
}

impl Source {
    /// Folder or file.
    pub fn path(&self) -> &Path {
        self.checkpoint.path()
    }

    /// What it is called: a built-in name, a hub name, or its path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(self.checkpoint.tokenizer()?)
    }

    /// The token that ends a text.
    pub fn eos(&self) -> Result<u32> {
        self.checkpoint
            .config
            .eos_token_ids
            .first()
            .copied()
            .ok_or_else(|| {
                let path = self.path().display();
                Failure::input(format!(
                    "{path}: expected an end-of-text token (eos_token_id), found none"
                ))
            })
    }

    /// Reads, checks and packs the weights.
    pub fn load(&self, options: LoadOptions) -> Result<Model> {
        Ok(Model::load(&self.checkpoint, options)?)
    }
}

/// A model ready to answer.
pub struct Opened {
    /// The weights.
    pub model: Model,
    tokenizer: Tokenizer,
    eos: u32,
}

/// Finds and loads a model. The tokenizer is built while the weights load.
pub fn open(spec: &str, options: LoadOptions, printer: &Printer) -> Result<Opened> {
    let source = find(spec, printer)?;
    let eos = source.eos()?;
    std::thread::scope(|scope| {
        let tokenizer = scope.spawn(|| source.tokenizer());
        let model = source.load(options);
        let tokenizer = tokenizer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(Opened {
            tokenizer: tokenizer?,
            model: model?,
            eos,
        })
    })
}

impl Opened {
    /// The answerer over the model's tokenizer.
    pub fn answerer(&self) -> Result<Answerer<'_>> {
        Ok(Answerer::new(&self.tokenizer, self.eos)?)
    }

    /// Adds a run's adapter to a bank; returns its number.
    pub fn adapter(&self, bank: &mut AdapterBank, folder: &Path) -> Result<usize> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        Ok(bank.add(&self.model, &name, &Adapter::read(folder)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_runs_settings() {
        let run = TrainSettings {
            base: verdict_train::Base::F32,
            threads: Some(64),
            ..TrainSettings::default()
        };
        let plain = MachineFlags::default().over(Some(&run)).expect("good");
        assert_eq!(
            (plain.base, plain.compute, plain.threads),
            (Base::F32, None, 0)
        );
        let flags = MachineFlags {
            base: Some("bf16".into()),
            compute: Some("f32".into()),
            threads: Some(1),
            device: Some("cpu".into()),
        };
        let given = flags.over(Some(&run)).expect("good");
        assert_eq!(
            (given.base, given.compute, given.threads),
            (Base::Bf16, Some(Compute::F32), 1)
        );
    }

    #[test]
    fn a_gpu_is_refused_in_plain_words() {
        let flags = MachineFlags {
            device: Some("cuda:0".into()),
            threads: Some(0),
            ..MachineFlags::default()
        };
        let failure = flags.over(None).expect_err("no GPU code");
        assert_eq!(
            failure.faults,
            [
                "--device: expected auto or cpu (this version has no GPU code), found cuda:0",
                "--threads: expected at least 1, found 0",
            ]
        );
    }
}
