//! The figures of a card: each a function of the manifest, drawn for a column as wide as a phone.

use std::collections::BTreeMap;

use verdict_common::{grouped, percent};
use verdict_page::Figure;
use verdict_page::charts::{Bar, Column, bars, columns};
use verdict_page::svg::{Anchor, Svg, WIDTH, text_width};

use super::{checks, tables};
use crate::manifest::Manifest;
use crate::{Label, wilson};

/// Class of a label's colour.
pub(super) fn colour(label: Label) -> &'static str {
    match label {
        Label::Yes => "yes",
        Label::No => "no",
        Label::Uncertain => "uncertain",
    }
}

/// Labels of each split, all splits as wide.
pub(super) fn labels(manifest: &Manifest) -> Option<Figure> {
    let mut svg = Svg::default();
    let legend_names = Label::ALL.map(|label| (colour(label), label.as_str()));
    let mut y = svg.swatches(&legend_names);
    let mut described = Vec::new();
    for split in manifest.splits.iter().filter(|split| split.rows > 0) {
        svg.names(
            y + 12.0,
            &split.split,
            &format!("{} rows", grouped(split.rows)),
        );
        let mut x = 0.0;
        let mut parts = Vec::new();
        for label in Label::ALL {
            let rows = split.labels.get(&label).copied().unwrap_or(0);
            if rows == 0 {
                continue;
            }
            let width = WIDTH * rows as f64 / split.rows as f64;
            let count = grouped(rows);
            let part = format!("{count} {label} ({})", percent(rows, split.rows));
            svg.bar(
                colour(label),
                [x, y + 18.0, (width - 2.0).max(1.0), 20.0],
                &format!("{}: {part}", split.split),
            );
            if text_width(&count) + 6.0 < width {
                svg.text(
                    "in",
                    Anchor::Middle,
                    [x + (width - 2.0) / 2.0, y + 32.5],
                    &count,
                );
            }
            x += width;
            parts.push(part);
        }
        described.push(format!("{}: {}", split.split, parts.join(", ")));
        y += 50.0;
    }
    (!described.is_empty()).then(|| Figure {
        title: "Labels by split, as shares of its rows".into(),
        description: described.join(". "),
        height: y,
        body: svg.done(),
        style: "",
    })
}

/// Rows kept of each source, beside those read.
pub(super) fn sources(manifest: &Manifest) -> Option<Figure> {
    let mut svg = Svg::default();
    let mut y = svg.swatches(&[("bar", "kept"), ("track", "read")]);
    let counts: Vec<(&str, usize, usize)> = tables::kinds(manifest)
        .map(|kind| {
            (
                kind,
                tables::kept(manifest, kind),
                tables::read(manifest, kind),
            )
        })
        .collect();
    let most = counts
        .iter()
        .map(|(_, kept, read)| *kept.max(read))
        .max()?
        .max(1) as f64;
    let mut described = Vec::new();
    for (kind, kept, read) in counts {
        let right = match read {
            0 => grouped(kept),
            read => format!("{} of {}", grouped(kept), grouped(read)),
        };
        svg.names(y + 12.0, kind, &right);
        let of_source = format!("{kind}: {right} rows kept");
        svg.bar(
            "track",
            [0.0, y + 18.0, WIDTH * read as f64 / most, 9.0],
            &of_source,
        );
        svg.bar(
            "bar",
            [0.0, y + 18.0, WIDTH * kept as f64 / most, 9.0],
            &of_source,
        );
        described.push(of_source);
        y += 36.0;
    }
    Some(Figure {
        title: "Rows by source".into(),
        description: described.join(". "),
        height: y,
        body: svg.done(),
        style: "",
    })
}

/// Lengths of questions, rationales and contexts.
pub(super) fn lengths(manifest: &Manifest) -> Vec<Figure> {
    let one = |name: &&str| {
        let lengths = manifest.lengths.get(*name)?;
        let last = lengths.bars.len();
        let bar = |(bar, rows): (usize, &usize)| {
            let words = tables::bar_name(bar, last, lengths.bar, lengths.longest);
            let described = format!("{words} words: {} rows", grouped(*rows));
            let mark = match bar + 1 == last && words.ends_with("more") {
                true => format!("{}+", bar * lengths.bar),
                false => (bar * lengths.bar).to_string(),
            };
            Column {
                name: mark,
                tooltip: described,
                rows: *rows,
            }
        };
        let bars: Vec<Column> = lengths.bars.iter().enumerate().map(bar).collect();
        let described = format!(
            "Half of {} rows have at most {} words, 95 of 100 at most {}, the longest has {}.",
            grouped(lengths.rows),
            lengths.median,
            lengths.p95,
            grouped(lengths.longest)
        );
        Some(columns(&format!("Words of the {name}"), &described, &bars))
    };
    tables::LENGTHS.iter().filter_map(one).collect()
}

/// Years that are shown one by one.
const YEARS: u16 = 60;

/// Rows by year of publication, of all sources.
pub(super) fn years(manifest: &Manifest) -> Option<Figure> {
    let mut all: BTreeMap<u16, usize> = BTreeMap::new();
    for (year, rows) in manifest.years.values().flatten() {
        *all.entry(*year).or_default() += rows;
    }
    let (first, last) = (*all.keys().next()?, *all.keys().next_back()?);
    // A year that cannot be must not make thousands of bars.
    let span =
        ((last - first) / YEARS + 1).next_multiple_of(if last - first < YEARS { 1 } else { 5 });
    let starts = (first / span..=last / span).map(|period| period * span);
    let bars: Vec<Column> = starts
        .map(|start| {
            let end = start.saturating_add(span - 1);
            let rows = all.range(start..=end).map(|(_, rows)| rows).sum();
            let name = if span == 1 {
                start.to_string()
            } else {
                format!("{start}–{end}")
            };
            Column {
                name: start.to_string(),
                tooltip: format!("{name}: {} rows", grouped(rows)),
                rows,
            }
        })
        .collect();
    let most = bars.iter().max_by_key(|bar| bar.rows)?;
    let described = format!("From {first} to {last}. Most in {}.", most.tooltip);
    Some(columns("Rows by year of publication", &described, &bars))
}

/// Rows in each branch of MeSH.
pub(super) fn branches(manifest: &Manifest) -> Option<Figure> {
    let mut rows = tables::branch_rows(manifest);
    let of = manifest.mesh_record.as_ref()?.rows;
    rows.retain(|(_, rows)| *rows > 0);
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let described = rows
        .iter()
        .map(|(name, rows)| format!("{name}: {}", grouped(*rows)));
    let described = described.collect::<Vec<_>>().join(". ");
    let bar = |(name, part)| Bar {
        name,
        part,
        value: percent(part, of),
    };
    let rows: Vec<Bar> = rows.into_iter().map(bar).collect();
    let title = "Rows by MeSH branch, of those with headings";
    (!rows.is_empty()).then(|| bars(title, &described, of, &rows))
}

/// What became of every row read: one bar of all of them, and one for each reason.
pub(super) fn outcomes(manifest: &Manifest) -> Option<Figure> {
    let read = manifest.rows_read;
    let outcomes = checks::outcome_rows(manifest);
    let sum = |of: &str| {
        outcomes
            .iter()
            .filter(|outcome| outcome.0 == of)
            .map(|outcome| outcome.3)
            .sum::<usize>()
    };
    let kinds = [("bar", "kept"), ("apart", "set apart"), ("gone", "dropped")];
    let kinds: Vec<(&str, &str)> = kinds
        .into_iter()
        .filter(|(_, name)| sum(name) > 0)
        .collect();
    let mut svg = Svg::default();
    let mut y = svg.swatches(&kinds);
    let mut x = 0.0;
    for (class, name) in &kinds {
        let rows = sum(name);
        let width = WIDTH * rows as f64 / read.max(1) as f64;
        svg.bar(
            class,
            [x, y, (width - 2.0).max(1.0), 20.0],
            &format!("{name}: {} rows", grouped(rows)),
        );
        if text_width(&grouped(rows)) + 6.0 < width {
            svg.text(
                "in",
                Anchor::Middle,
                [x + (width - 2.0) / 2.0, y + 14.5],
                &grouped(rows),
            );
        }
        x += width;
    }
    y += 34.0;
    let mut described = Vec::new();
    for (outcome, rule, _, rows) in &outcomes {
        let name = if rule.is_empty() { *outcome } else { *rule };
        let right = format!("{} ({})", grouped(*rows), percent(*rows, read));
        svg.names(y + 12.0, name, &right);
        let class = match *outcome {
            "kept" => "bar",
            "set apart" => "apart",
            _ => "gone",
        };
        let width = WIDTH * *rows as f64 / read.max(1) as f64;
        svg.bar("track", [0.0, y + 18.0, WIDTH, 9.0], "");
        svg.bar(
            class,
            [0.0, y + 18.0, width.max(1.5), 9.0],
            &format!("{name}: {right}"),
        );
        described.push(format!("{name}: {right}"));
        y += 36.0;
    }
    Some(Figure {
        title: format!("What became of {} rows read", grouped(read)),
        description: described.join(". "),
        height: y,
        body: svg.done(),
        style: "",
    })
}

/// How far single words get: the interval beside chance and the commonest label.
pub(super) fn artefact(manifest: &Manifest) -> Option<Figure> {
    let found = checks::guessed(manifest)?;
    let share = |part: usize| part as f64 / found.rows as f64;
    let (low, high) = wilson(found.right, found.rows);
    let mut svg = Svg::default();
    let x = |share: f64| 6.0 + (WIDTH - 12.0) * share;
    let (majority, right) = (share(found.majority), share(found.right));
    for mark in [0.0, 0.25, 0.5, 0.75, 1.0] {
        svg.line("grid", [x(mark), 24.0, x(mark), 100.0]);
        let at = match mark {
            0.0 => Anchor::Start,
            1.0 => Anchor::End,
            _ => Anchor::Middle,
        };
        let end = if mark == 0.0 {
            -6.0
        } else if mark == 1.0 {
            6.0
        } else {
            0.0
        };
        svg.text(
            "faint",
            at,
            [x(mark) + end, 116.0],
            &format!("{:.0} %", 100.0 * mark),
        );
    }
    for (value, name, y) in [
        (1.0 / 3.0, "chance", 84.0),
        (majority, "commonest label", 64.0),
    ] {
        svg.line("mark", [x(value), 30.0, x(value), y + 8.0]);
        let name = format!("{name} {:.1} %", 100.0 * value);
        match value > 0.6 {
            true => svg.text("faint", Anchor::End, [x(value) - 5.0, y + 4.0], &name),
            false => svg.text("faint", Anchor::Start, [x(value) + 5.0, y + 4.0], &name),
        }
    }
    svg.bar(
        "bar",
        [x(low), 37.0, x(high) - x(low), 6.0],
        "95 % interval",
    );
    svg.bar(
        "point",
        [x(right) - 2.0, 31.0, 4.0, 18.0],
        "words of the question",
    );
    let described = format!(
        "words of the question {:.1} % [{:.1}–{:.1}]",
        100.0 * right,
        100.0 * low,
        100.0 * high
    );
    let middle = x(right).clamp(
        text_width(&described) / 2.0,
        WIDTH - text_width(&described) / 2.0,
    );
    svg.text("", Anchor::Middle, [middle, 16.0], &described);
    Some(Figure {
        title: "Labels guessed from single words".into(),
        description: format!(
            "{described}, n = {}; the commonest label {:.1} %, chance {:.1} %.",
            grouped(found.rows),
            100.0 * majority,
            100.0 / 3.0
        ),
        height: 122.0,
        body: svg.done(),
        style: "",
    })
}
