//! `verdict pull`: a model into the cache, so that later work needs no network.

use serde::Serialize;

use crate::failure::Result;
use crate::models;
use crate::printer::Printer;

/// Fetch a model into the cache
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Built-in name, hub name or path
    #[arg(default_value = models::DEFAULT)]
    pub model: String,
}
