//! `verdict pull`: downloads a model into the cache, so that later commands need no network.

use std::path::Path;

use serde::Serialize;

use crate::failure::Result;
use crate::loading;
use crate::models;
use crate::printer::Printer;

/// Download a model into the cache
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Built-in name, hub name or path
    #[arg(default_value = models::DEFAULT)]
    pub model: String,
}

/// What `pull --json` prints.
#[derive(Serialize)]
struct PulledModel<'a> {
    name: &'a str,
    path: &'a Path,
    sha256: Option<&'a str>,
    source: Option<&'a str>,
}

/// Downloads the model and prints its path.
pub fn run(args: Args, printer: &Printer) -> Result {
    let model = loading::resolve(&args.model, printer)?;
    let (sha256, source) = (model.sha256.as_deref(), model.source.as_deref());
    printer.json(&PulledModel {
        name: &model.name,
        path: &model.path,
        sha256,
        source,
    });
    printer.line(format!("model      {}", model.name));
    printer.line(format!("path       {}", model.path.display()));
    if let Some(source) = source {
        printer.line(format!("source     {source}"));
    }
    if let Some(sha256) = sha256 {
        printer.line(format!("sha256     {sha256}"));
    }
    Ok(())
}
