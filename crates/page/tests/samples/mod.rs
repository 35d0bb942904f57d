//! A sample of each chart, and a page with all charts and every other kind of block.

use verdict_page::charts::{
    Axis, Bar, Bin, Column, Dot, Reference, RiskCurve, Series, Unit, bars, columns, confusion,
    dots, lines, reliability, risk_coverage, spark,
};
use verdict_page::{Badge, Block, Cell, Example, Figure, Page, Part, Table};

/// Each chart with its name.
pub fn samples() -> Vec<(&'static str, Figure)> {
    vec![
        ("lines", learning(3, false)),
        ("lines_log", learning(12, true)),
        ("lines_many", learning(15, false)),
        ("dots", systems()),
        ("dots_ranks", ranks()),
        ("reliability", calibration()),
        ("risk_coverage", coverage()),
        ("confusion", answers()),
        ("spark", loss()),
        ("columns", lengths()),
        ("bars", branches()),
    ]
}

/// Values that go up and down, the same in each run.
fn wave(number: usize) -> f64 {
    (number as f64 * 12.9898).sin() * 0.5 + (number as f64 * 4.1414).cos() * 0.5
}

fn learning(members: usize, log: bool) -> Figure {
    let steps = Axis::new("step", Unit::Count);
    let axis = Axis {
        log,
        ..Axis::new("validation loss, nats per token", Unit::Number)
    };
    let member = |number: usize| {
        let loss = |step: usize| {
            let fall = 2.2 * (-(step as f64) / (20.0 + 4.0 * number as f64)).exp();
            1.2 + 0.05 * number as f64 + fall + 0.04 * wave(31 * number + step)
        };
        let points: Vec<[f64; 2]> = (0..=93)
            .step_by(3)
            .map(|step| [step as f64, loss(step)])
            .collect();
        let best = (0..points.len()).min_by(|a, b| points[*a][1].total_cmp(&points[*b][1]));
        Series {
            name: format!("r{}-lr{}e-4", 4 << (number % 5), number + 1),
            points,
            best: best.filter(|_| number < 3),
        }
    };
    let series: Vec<Series> = (0..members).map(member).collect();
    lines("Validation loss", [&steps, &axis], &series)
}

fn systems() -> Figure {
    let accuracy = Axis::new("accuracy on 63 test questions", Unit::Percent);
    let dot = |name: &str, value, low, high| Dot {
        name: name.into(),
        value,
        interval: Some([low, high]),
    };
    let line = |name: &str, value| Reference {
        name: name.into(),
        value,
    };
    dots(
        "Systems with 95 % intervals (Wilson)",
        &accuracy,
        &[
            dot("base, free", 0.0, 0.0, 0.0575),
            dot("base, guaranteed", 0.317, 0.216, 0.440),
            dot("r4", 0.381, 0.271, 0.504),
            dot(
                "SmolLM2-135M-Instruct r16, seed 1, three epochs",
                0.546,
                0.42,
                0.663,
            ),
        ],
        &[
            line("chance", 1.0 / 3.0),
            line("the commonest label", 0.552),
        ],
    )
}

fn ranks() -> Figure {
    let loss = Axis {
        log: true,
        ..Axis::new("validation loss", Unit::Number)
    };
    let dot = |rank: usize| Dot {
        name: format!("rank {rank}"),
        value: 1.9 - 0.1 * (rank as f64).ln(),
        interval: None,
    };
    dots("Ranks", &loss, &[4, 16, 64].map(dot), &[])
}

fn calibration() -> Figure {
    let bin = |number: usize| {
        let [from, to] = [0.1 * number as f64, 0.1 * (number + 1) as f64];
        let confidence = from + 0.05 + 0.02 * wave(number);
        let accuracy = (confidence - 0.12 + 0.08 * wave(number + 7)).clamp(0.0, 1.0);
        let half = 0.18 - 0.012 * number as f64;
        Bin {
            edges: [from, to],
            confidence,
            accuracy,
            interval: Some([(accuracy - half).max(0.0), (accuracy + half).min(1.0)]),
            rows: [0, 0, 0, 12, 31, 40, 22, 18, 9, 3][number],
        }
    };
    reliability(
        "Confidence and accuracy",
        &(0..10).map(bin).collect::<Vec<_>>(),
    )
}

fn coverage() -> Figure {
    let curve = |name: &str, slope: f64, operating| {
        let point = |answered: usize| {
            let coverage = answered as f64 / 63.0;
            [
                coverage,
                (slope * coverage * coverage + 0.05 + 0.03 * wave(answered)).max(0.0),
            ]
        };
        RiskCurve {
            name: name.into(),
            points: (1..=63).map(point).collect(),
            operating,
        }
    };
    risk_coverage(
        "Error among the answers given",
        &[curve("r16", 0.35, Some(38)), curve("base", 0.6, None)],
    )
}

fn answers() -> Figure {
    confusion(
        "Truth and answers",
        &["Yes", "No", "Uncertain"],
        &["Yes", "No", "Uncertain", "no form"],
        &[vec![14, 5, 2, 0], vec![4, 1002, 4, 1], vec![9, 6, 5, 1]],
    )
}

fn loss() -> Figure {
    let values: Vec<f64> = (0..120)
        .map(|step| 2.9 * (-(step as f64) / 60.0).exp() + 0.1 * wave(step))
        .collect();
    spark("Training loss", &values, Unit::Number)
}

fn lengths() -> Figure {
    let column = |number: usize| Column {
        name: format!("{}{}", 5 * number, if number == 15 { "+" } else { "" }),
        tooltip: format!(
            "from {} words: {} rows",
            5 * number,
            37 * number * (16 - number)
        ),
        rows: 37 * number * (16 - number),
    };
    let bars: Vec<Column> = (0..16).map(column).collect();
    columns(
        "Words of the question",
        "Half have at most 40 words.",
        &bars,
    )
}

fn branches() -> Figure {
    let bar = |(name, part): (&str, usize)| Bar {
        name: name.into(),
        part,
        value: verdict_common::percent(part, 1450),
    };
    let rows = [
        ("B Organisms", 1400),
        (
            "C Diseases of everything that lives and of some that does not",
            700,
        ),
        ("Z Geographicals", 1),
    ];
    bars("Rows by branch", "Most in Organisms.", 1450, &rows.map(bar))
}

/// A page with every block and every chart.
#[allow(dead_code, reason = "not every test opens a page")]
pub fn page() -> Page {
    let mut blocks = vec![
        Block::Text("A page that holds one of each, so that a reader's browser can be asked what it shows of it.".into()),
        Block::Section("Charts".into()),
    ];
    blocks.extend(
        samples()
            .into_iter()
            .map(|(_, figure)| Block::Figure(figure)),
    );
    blocks.push(Block::Section("Tables & \"texts\"".into()));
    let head = [
        "system",
        "checksum",
        "questions",
        "accuracy",
        "what it says",
    ];
    let mut table = Table::new("A table that is wider than a phone", &head);
    for (name, rows) in [("base", 63), ("r16", 1_000_063)] {
        table.rows.push(vec![
            name.into(),
            Cell::Code("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into()),
            rows.into(),
            Cell::Figure("54.6 %".into()),
            "A sentence of some length, such as notes in tables have.".into(),
        ]);
    }
    table.total = true;
    blocks.push(Block::Table(table.clone()));
    table.folded = true;
    blocks.push(Block::Table(table));
    blocks.push(Block::List(vec![
        "one line".into(),
        "<b>another</b> & more".into(),
    ]));
    blocks.push(Block::Section("Examples".into()));
    for (class, label) in [("yes", "Yes"), ("no", "No"), ("uncertain", "Uncertain")] {
        let part = |class, lead: &str, text: &str| Part {
            class,
            lead: lead.into(),
            text: text.into(),
        };
        blocks.push(Block::Example(Example {
            badges: vec![Badge {
                class,
                text: label.into(),
            }],
            source: "pubmedqa-labeled".into(),
            id: "pubmedqa-labeled:12377809".into(),
            parts: vec![
                part(
                    "context",
                    "Context: ",
                    "Two trials of aspirin were compared.",
                ),
                part(
                    "question",
                    "Q: ",
                    "Does aspirin help patients with a headache?",
                ),
                part("", "A: ", "It did in both trials."),
            ],
        }));
    }
    Page {
        title: "One of each".into(),
        blocks,
    }
}
