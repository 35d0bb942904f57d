//! `verdict build --explain`: one row before and after, rule by rule.

use verdict_data::BuildSettings;

use crate::failure::Result;
use crate::printer::Printer;

/// Tells what a build does to one row.
pub(super) fn explain(id: &str, settings: &BuildSettings, printer: &Printer) -> Result {
    let told = verdict_data::explain(settings, id)?;
    printer.json(&told);
    let label = told.label.as_deref().unwrap_or("none");
    printer.line(format!("row        {}", told.id));
    printer.line(format!("question   {}", told.question));
    printer.line(format!("label      {label}"));
    printer.line(format!("answer     {}", told.answer));
    for step in &told.steps {
        printer.line(format!("\n{}", step.rule));
        printer.line(format!("  before   {}", step.before));
        printer.line(format!("  after    {}", step.after));
    }
    if !told.candidates.is_empty() {
        printer.line("\nsentences of the answer, with the points of each");
        for candidate in &told.candidates {
            let kept = if candidate.kept { "kept" } else { "" };
            let points = format!("{:.2}", candidate.points);
            printer.line(format!("  {kept:<4} {points:>5}  {}", candidate.text));
            printer.line(format!("              {}", candidate.reasons.join("; ")));
        }
    }
    if !told.tied.is_empty() {
        printer.line(format!("\ntied to    {}", told.tied.join(", ")));
    }
    printer.line(format!("\nbecame     {}", told.fate));
    Ok(())
}
