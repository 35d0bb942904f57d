//! `verdict build --audit`: leaks between the splits of any data set, and to benchmarks.

use std::collections::BTreeMap;
use std::path::Path;

use verdict_common::counted;
use verdict_data::Protect;
use verdict_data::audit::{Leak, LeakKind};

use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::table::Table;

/// Leaks of each kind to show.
const SHOWN: usize = 3;

/// Prints the leaks of a data set. Leaks are a failure, so that a script can check for them.
pub(super) fn audit(folder: &Path, protect: &[Protect], printer: &Printer) -> Result {
    let audit = verdict_data::audit(folder, protect)?;
    printer.json(&audit);
    let rows = audit
        .rows
        .iter()
        .map(|(name, rows)| format!("{name} {rows}"));
    let rows: Vec<String> = rows.collect();
    printer.line(format!("rows       {}", rows.join(", ")));
    if audit.leaks.is_empty() {
        printer.line("leaks      none: no row occurs in two of them");
        return Ok(());
    }
    let mut table = Table::new(["leak", "of", "seen in", "rows", "such as"]);
    for kind in LeakKind::ALL {
        let mut places: BTreeMap<(&str, &str), Vec<&Leak>> = BTreeMap::new();
        for leak in audit.leaks.iter().filter(|leak| leak.kind == kind) {
            let place = (leak.row.split.as_str(), leak.seen.split.as_str());
            places.entry(place).or_default().push(leak);
        }
        for ((of, seen), leaks) in places {
            let lines = leaks.iter().take(SHOWN);
            let lines = lines.map(|leak| format!("{} in {}", leak.row.line, leak.seen.line));
            table.row(vec![
                kind.about().into(),
                of.into(),
                seen.into(),
                leaks.len().to_string(),
                format!("line {}", lines.collect::<Vec<_>>().join(", ")),
            ]);
        }
    }
    printer.table(&table);
    let (leaks, place) = (counted(audit.leaks.len(), "leak"), folder.display());
    Err(Failure::failed(format!(
        "{place}: {leaks} between its splits and benchmarks"
    )))
}
