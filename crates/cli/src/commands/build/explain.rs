//! `verdict build --explain`: one row before and after, rule by rule.

use verdict_data::BuildSettings;

use crate::failure::Result;
use crate::printer::Printer;

/// Prints what a build does to one row.
pub(super) fn explain(id: &str, settings: &BuildSettings, printer: &Printer) -> Result {
    let found = verdict_data::explain(settings, id)?;
    printer.json(&found);
    let label = found.label.as_deref().unwrap_or("none");
    printer.line(format!("row        {}", found.id));
    printer.line(format!("question   {}", found.question));
    printer.line(format!("label      {label}"));
    printer.line(format!("answer     {}", found.answer));
    for step in &found.steps {
        printer.line(format!("\n{}", step.rule));
        printer.line(format!("  before   {}", step.before));
        printer.line(format!("  after    {}", step.after));
    }
    if !found.candidates.is_empty() {
        printer.line("\nsentences of the answer, with their scores");
        for candidate in &found.candidates {
            let kept = if candidate.kept { "kept" } else { "" };
            let points = format!("{:.2}", candidate.points);
            printer.line(format!("  {kept:<4} {points:>5}  {}", candidate.text));
            printer.line(format!("              {}", candidate.reasons.join("; ")));
        }
    }
    if !found.tied.is_empty() {
        printer.line(format!("\ngroup      {}", found.tied.join(", ")));
    }
    printer.line(format!("\nresult     {}", found.outcome));
    Ok(())
}
