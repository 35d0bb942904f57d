//! Properties of all charts for any input: well-formed SVG, nothing outside the figure, no NaN, no overlapping texts; and
//! a snapshot of each.

mod drawing;
mod samples;

use drawing::Drawing;
use proptest::prelude::*;
use samples::samples;
use verdict_page::charts::{
    Axis, Bar, Bin, Column, Dot, Reference, RiskCurve, Series, Unit, bars, columns, confusion,
    dots, lines, reliability, risk_coverage, spark,
};

#[test]
fn each_chart_as_it_is() {
    for (name, figure) in samples() {
        let drawing = Drawing::read(&figure);
        drawing.holds();
        let text = format!(
            "{}\n{}\n{:.0}\n{}",
            figure.title,
            figure.description,
            figure.height,
            drawing.pretty()
        );
        insta::assert_snapshot!(name, text);
    }
}

/// Numbers as they come, and as they should never come.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..1.0_f64,
        2 => -1e4..1e4_f64,
        1 => any::<f64>(),
        1 => prop::sample::select(vec![0.0, 1.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN, f64::MAX, 5e-324, 1e-300, 1e300]),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-zA-Z0-9 .%-]{0,60}", 1 => any::<String>()]
}

fn axis() -> impl Strategy<Value = Axis> {
    let unit = prop::sample::select(vec![Unit::Number, Unit::Count, Unit::Percent]);
    (name(), unit, any::<bool>()).prop_map(|(name, unit, log)| Axis { name, unit, log })
}

fn points() -> impl Strategy<Value = Vec<[f64; 2]>> {
    prop::collection::vec([number(), number()], 0..40)
}

fn interval() -> impl Strategy<Value = Option<[f64; 2]>> {
    prop::option::of([number(), number()])
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        // A case that fails belongs into a test of its own, not into a file.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn lines_hold(
        title in name(), x in axis(), y in axis(),
        series in prop::collection::vec((name(), points(), prop::option::of(0..50_usize)), 0..16),
    ) {
        let series: Vec<Series> = series
            .into_iter()
            .map(|(name, points, best)| Series { name, points, best })
            .collect();
        Drawing::read(&lines(&title, [&x, &y], &series)).holds();
    }

    #[test]
    fn dots_hold(
        title in name(), axis in axis(),
        rows in prop::collection::vec((name(), number(), interval()), 0..12),
        references in prop::collection::vec((name(), number()), 0..4),
    ) {
        let rows: Vec<Dot> = rows
            .into_iter()
            .map(|(name, value, interval)| Dot { name, value, interval })
            .collect();
        let references: Vec<Reference> = references
            .into_iter()
            .map(|(name, value)| Reference { name, value })
            .collect();
        Drawing::read(&dots(&title, &axis, &rows, &references)).holds();
    }

    #[test]
    fn reliability_holds(
        title in name(),
        bins in prop::collection::vec(([number(), number()], number(), number(), interval(), prop_oneof![0..9_usize, any::<usize>()]), 0..20),
    ) {
        let bins: Vec<Bin> = bins
            .into_iter()
            .map(|(edges, confidence, accuracy, interval, rows)| Bin { edges, confidence, accuracy, interval, rows })
            .collect();
        Drawing::read(&reliability(&title, &bins)).holds();
    }

    #[test]
    fn risk_coverage_holds(
        title in name(),
        curves in prop::collection::vec((name(), points(), prop::option::of(0..50_usize)), 0..14),
    ) {
        let curves: Vec<RiskCurve> = curves
            .into_iter()
            .map(|(name, points, operating)| RiskCurve { name, points, operating })
            .collect();
        Drawing::read(&risk_coverage(&title, &curves)).holds();
    }

    #[test]
    fn confusion_holds(
        title in name(), rows in prop::collection::vec(name(), 0..5), columns in prop::collection::vec(name(), 0..7),
        counts in prop::collection::vec(prop::collection::vec(prop_oneof![0..2000_usize, any::<usize>()], 0..7), 0..5),
    ) {
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        Drawing::read(&confusion(&title, &rows, &columns, &counts)).holds();
    }

    #[test]
    fn columns_hold(
        title in name(),
        rows in prop::collection::vec((name(), prop_oneof![0..2000_usize, any::<usize>()]), 0..80),
    ) {
        let rows: Vec<Column> = rows
            .into_iter()
            .map(|(name, rows)| Column { tooltip: name.clone(), name, rows })
            .collect();
        Drawing::read(&columns(&title, "", &rows)).holds_within(4.0);
    }

    #[test]
    fn bars_hold(
        title in name(), whole in prop_oneof![0..2000_usize, any::<usize>()],
        rows in prop::collection::vec((name(), name(), prop_oneof![0..2000_usize, any::<usize>()]), 0..20),
    ) {
        let rows: Vec<Bar> = rows
            .into_iter()
            .map(|(name, value, part)| Bar { name, part, value })
            .collect();
        Drawing::read(&bars(&title, "", whole, &rows)).holds();
    }

    #[test]
    fn spark_holds(title in name(), values in prop::collection::vec(number(), 0..60)) {
        for unit in [Unit::Number, Unit::Count, Unit::Percent] {
            Drawing::read(&spark(&title, &values, unit)).holds();
        }
    }
}

/// What is drawn of a class.
fn count(figure: &verdict_page::Figure, class: &str) -> usize {
    figure.body.matches(&format!("class=\"{class}")).count()
}

#[test]
fn without_numbers_a_chart_says_so() {
    let axis = Axis::new("loss", Unit::Number);
    let lost = Series {
        name: "diverged".into(),
        points: vec![[0.0, f64::NAN], [1.0, f64::INFINITY]],
        best: Some(0),
    };
    for figure in [
        lines("a", [&axis, &axis], &[]),
        lines("a", [&axis, &axis], &[lost]),
        dots("a", &axis, &[], &[]),
        reliability("a", &[]),
        risk_coverage("a", &[]),
        confusion("a", &[], &["Yes"], &[]),
        spark("a", &[], Unit::Number),
        columns("a", "b", &[]),
        bars("a", "b", 0, &[]),
    ] {
        assert_eq!(figure.description, "nothing to show yet");
        Drawing::read(&figure).holds();
    }
}

#[test]
fn a_gap_is_left_where_a_number_is_none() {
    let axis = Axis::new("loss", Unit::Number);
    let series = Series {
        name: "r16".into(),
        points: [1.0, 2.0, f64::NAN, 4.0, 5.0, 6.0]
            .iter()
            .enumerate()
            .map(|(x, y)| [x as f64, *y])
            .collect(),
        best: None,
    };
    let figure = lines("a", [&axis, &axis], &[series]);
    // One line in the legend, two in the plot; marks on the five that there are, and in the legend.
    assert_eq!((count(&figure, "curve"), count(&figure, "spot")), (3, 6));
    assert_eq!(
        figure.description,
        "loss over loss. r16: 1 at 0, then 6 at 5."
    );
}

#[test]
fn twelve_series_differ_without_their_colours_and_the_number_of_more_is_shown() {
    let axis = Axis::new("loss", Unit::Number);
    let series: Vec<Series> = (0..15)
        .map(|number| Series {
            name: format!("series {number}"),
            points: vec![[0.0, number as f64], [1.0, 2.0 * number as f64]],
            best: None,
        })
        .collect();
    let figure = lines("a", [&axis, &axis], &series);
    let drawing = Drawing::read(&figure);
    let mut looks = drawing.looks();
    assert_eq!(looks.len(), 12);
    looks.sort();
    looks.dedup();
    assert_eq!(
        looks.len(),
        12,
        "dash and mark alone tell them apart: {looks:?}"
    );
    assert!(drawing.texts().contains(&"3 more".to_owned()));
    assert!(figure.body.contains("<title>series 14</title>"));
}

#[test]
fn points_stand_where_their_numbers_say() {
    let figure = reliability(
        "a",
        &[Bin {
            edges: [0.2, 0.4],
            confidence: 0.25,
            accuracy: 0.25,
            interval: Some([0.0, 1.0]),
            rows: 4,
        }],
    );
    // A point of equal confidence and accuracy is a quarter along the diagonal.
    let drawing = Drawing::read(&figure);
    let [x1, y1, x2, y2] = drawing.line("mark").expect("the diagonal");
    let [x, y] = drawing.circle("spot s0").expect("the point");
    assert!((x - (x1 + 0.25 * (x2 - x1))).abs() < 0.11, "{x}");
    assert!((y - (y1 + 0.25 * (y2 - y1))).abs() < 0.11, "{y}");

    let axis = Axis::new("accuracy", Unit::Percent);
    let dot = |value| Dot {
        name: "a".into(),
        value,
        interval: None,
    };
    let line = Reference {
        name: "chance".into(),
        value: 0.5,
    };
    let figure = dots("a", &axis, &[dot(0.0), dot(0.5), dot(1.0)], &[line]);
    let drawing = Drawing::read(&figure);
    let [x, ..] = drawing.line("mark").expect("the reference");
    assert_eq!(x, verdict_page::svg::WIDTH / 2.0);
    assert!(figure.body.contains(&format!("cx=\"{x:.1}\"")));
}

#[test]
fn cells_are_as_dark_as_their_share_of_the_row() {
    let figure = confusion(
        "a",
        &["Yes", "No", "Uncertain"],
        &["Yes", "No", "Uncertain", "no form"],
        &[vec![90, 10, 0, 0], vec![1000, 1, 0, 0]],
    );
    for (cell, shade) in [
        ("Yes: 90 Yes (90.0 %)", "h8"),
        ("Yes: 10 No (10.0 %)", "h1"),
        ("Yes: 0 Uncertain (0.0 %)", "h0"),
        ("No: 1,000 Yes (99.9 %)", "h9"),
        ("No: 1 No (0.1 %)", "h1"),
        ("Uncertain: 0 Yes (0.0 %)", "h0"),
    ] {
        let of = Drawing::read(&figure).class_of(cell).expect(cell);
        assert_eq!(of, format!("shade {shade}"), "{cell}");
    }
}
