//! The members of the run that is judged: how they did on validation, and what became of them.

use verdict_page::{Cell, Table};

use super::EvalReport;
use super::tables::{figure, rate, table};
use crate::subject::Member;

/// The sweep on validation.
pub(super) fn members(report: &EvalReport) -> Option<Table> {
    let subject = &report.subject;
    let mut rows = vec![vec![
        "base".into(),
        Cell::Text(String::new()),
        Cell::Text(String::new()),
        Cell::Text(String::new()),
        figure(format!("{:.3}", subject.base.loss)),
        figure(rate(&subject.base.accuracy)),
        Cell::Text(String::new()),
    ]];
    rows.extend(subject.members.iter().map(|member| {
        let validated = member.validated.as_ref();
        vec![
            member.name.as_str().into(),
            Cell::Number(member.rank),
            figure(format!("{:e}", member.lr)),
            figure(member.seed.to_string()),
            figure(validated.map_or("–".into(), |of| format!("{:.3}", of.loss))),
            figure(validated.map_or("–".into(), |of| rate(&of.accuracy))),
            fate(member, &subject.best).into(),
        ]
    }));
    table(
        "The sweep on validation",
        [
            "adapter",
            "rank",
            "learning rate",
            "seed",
            "loss, nats a token",
            "right labels",
            "",
        ],
        rows,
    )
}

/// What became of a member.
fn fate(member: &Member, best: &str) -> String {
    if let Some(reason) = &member.stopped {
        return reason.clone();
    }
    let chosen = (member.name == best).then(|| "chosen".to_owned());
    let left = member.left.as_ref();
    let left = left.map(|left| format!("left early: {}", left.reason));
    let kept = member.kept.map(|kept| format!("weights of step {kept}"));
    let told: Vec<String> = [chosen, left, kept].into_iter().flatten().collect();
    told.join("; ")
}
