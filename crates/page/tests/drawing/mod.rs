//! The elements of a figure's SVG, and checks that hold for every chart.

use roxmltree::{Document, Node};
use verdict_page::svg::{WIDTH, text_width};
use verdict_page::{Figure, escape};

/// Coordinates are written with one decimal.
const ROUNDING: f64 = 0.05 + 1e-9;
/// How far letters of 12 units extend above and below their baseline.
const ABOVE: f64 = 9.0;
const BELOW: f64 = 3.0;

/// A parsed figure.
pub struct Drawing {
    text: String,
    height: f64,
}

impl Drawing {
    /// Parses the figure as the page writes it.
    pub fn read(figure: &Figure) -> Drawing {
        let text = format!(
            "<svg><title>{}</title><desc>{}</desc>{}</svg>",
            escape(&figure.title),
            escape(&figure.description),
            figure.body
        );
        assert!(figure.height.is_finite() && figure.height > 0.0);
        Drawing {
            text,
            height: figure.height,
        }
    }

    fn document(&self) -> Document<'_> {
        Document::parse(&self.text).unwrap_or_else(|fault| panic!("{fault}\n{}", self.text))
    }

    /// Checks what holds for every chart.
    #[track_caller]
    pub fn holds(&self) {
        self.holds_within(0.0);
    }

    /// As [`Drawing::holds`], where texts may extend beyond the right edge by this much.
    #[track_caller]
    pub fn holds_within(&self, over: f64) {
        let document = self.document();
        let mut texts = Vec::new();
        for node in document
            .root_element()
            .descendants()
            .filter(Node::is_element)
        {
            let room = if node.has_tag_name("text") { over } else { 0.0 };
            for [x, y] in extent(node) {
                let inside = (-ROUNDING..=WIDTH + room + ROUNDING).contains(&x)
                    && (-ROUNDING..=self.height + ROUNDING).contains(&y);
                assert!(inside, "{x}, {y} of 340, {}: {}", self.height, source(node));
            }
            texts.extend(text_box(node).map(|of| (of, source(node))));
        }
        for (number, (a, name)) in texts.iter().enumerate() {
            for (b, other) in &texts[..number] {
                let apart = a[0] >= b[2] - 2.0 * ROUNDING
                    || b[0] >= a[2] - 2.0 * ROUNDING
                    || a[1] >= b[3]
                    || b[1] >= a[3];
                assert!(apart, "one text upon another: {name} and {other}");
            }
        }
    }

    /// One element per line.
    pub fn pretty(&self) -> String {
        let ends = [
            "</rect>",
            "</text>",
            "</polyline>",
            "</polygon>",
            "</circle>",
            "/>",
        ];
        let body = self.text.split_once("</desc>").map_or("", |(_, body)| body);
        ends.iter().fold(body.replace("</svg>", ""), |text, end| {
            text.replace(end, &format!("{end}\n"))
        })
    }

    /// All texts.
    pub fn texts(&self) -> Vec<String> {
        let document = self.document();
        let all = document
            .descendants()
            .filter(|node| node.has_tag_name("text"));
        all.map(|node| node.text().unwrap_or_default().to_owned())
            .collect()
    }

    /// Dash and mark of each series in the legend.
    pub fn looks(&self) -> Vec<String> {
        let document = self.document();
        let all: Vec<Node> = document.root_element().children().collect();
        let legend = all.windows(2).filter(|pair| {
            let class = |node: Node| node.attribute("class").unwrap_or_default().to_owned();
            class(pair[0]).starts_with("curve") && class(pair[1]).starts_with("spot")
        });
        let look = |pair: &[Node]| {
            let dashed = pair[0]
                .attribute("class")
                .is_some_and(|class| class.contains("dashed"));
            let points = pair[1].attribute("points").unwrap_or("circle");
            let relative = points.split(' ').filter_map(|point| {
                let (x, y) = point.split_once(',')?;
                let [x, y] = [x, y].map(|number| number.parse::<f64>().expect("a number"));
                let [x0, y0] = last(pair[0]);
                Some(format!("{:.0},{:.0}", x - x0, y - y0))
            });
            format!("{dashed} {}", relative.collect::<Vec<_>>().join(" "))
        };
        legend
            .filter(|pair| pair[0].text().is_none())
            .take(12)
            .map(look)
            .collect()
    }

    /// The first straight line of a class.
    pub fn line(&self, class: &str) -> Option<[f64; 4]> {
        let document = self.document();
        let mut lines = document
            .descendants()
            .filter(|node| node.has_tag_name("line"));
        let line = lines.find(|node| node.attribute("class") == Some(class))?;
        Some(["x1", "y1", "x2", "y2"].map(|name| number(line, name)))
    }

    /// The centre of the first circle of a class.
    pub fn circle(&self, class: &str) -> Option<[f64; 2]> {
        let document = self.document();
        let mut circles = document
            .descendants()
            .filter(|node| node.has_tag_name("circle"));
        let circle = circles.find(|node| node.attribute("class") == Some(class))?;
        Some(["cx", "cy"].map(|name| number(circle, name)))
    }

    /// Class of the element with this tooltip.
    pub fn class_of(&self, tooltip: &str) -> Option<String> {
        let document = self.document();
        let mut titles = document
            .descendants()
            .filter(|node| node.has_tag_name("title"));
        let title = titles.find(|node| node.text() == Some(tooltip))?;
        Some(title.parent()?.attribute("class")?.to_owned())
    }
}

fn source(node: Node) -> String {
    node.document().input_text()[node.range()].to_owned()
}

fn number(node: Node, name: &str) -> f64 {
    let text = node
        .attribute(name)
        .unwrap_or_else(|| panic!("no {name}: {}", source(node)));
    let number: f64 = text
        .parse()
        .unwrap_or_else(|_| panic!("{name}: {}", source(node)));
    assert!(number.is_finite(), "{name}: {}", source(node));
    number
}

fn points(node: Node) -> Vec<[f64; 2]> {
    let points = node.attribute("points").unwrap_or_default().split(' ');
    let point = |point: &str| {
        let (x, y) = point
            .split_once(',')
            .unwrap_or_else(|| panic!("{}", source(node)));
        [x, y].map(|number| {
            let number: f64 = number
                .parse()
                .unwrap_or_else(|_| panic!("{}", source(node)));
            assert!(number.is_finite(), "{}", source(node));
            number
        })
    };
    points.map(point).collect()
}

fn last(node: Node) -> [f64; 2] {
    points(node).pop().expect("a point")
}

/// The bounding box of an element.
fn extent(node: Node) -> Vec<[f64; 2]> {
    let of = |name| number(node, name);
    match node.tag_name().name() {
        "rect" => {
            let [x, y, width, height] = ["x", "y", "width", "height"].map(of);
            assert!(width >= 0.0 && height >= 0.0, "{}", source(node));
            vec![[x, y], [x + width, y + height]]
        }
        "line" => vec![[of("x1"), of("y1")], [of("x2"), of("y2")]],
        "circle" => {
            let [x, y, r] = ["cx", "cy", "r"].map(of);
            vec![[x - r, y - r], [x + r, y + r]]
        }
        "polyline" | "polygon" => points(node),
        "text" => text_box(node)
            .map(|[x1, y1, x2, y2]| vec![[x1, y1], [x2, y2]])
            .unwrap_or_default(),
        "svg" | "title" | "desc" => Vec::new(),
        other => panic!("{other}: {}", source(node)),
    }
}

/// The estimated box of a text.
fn text_box(node: Node) -> Option<[f64; 4]> {
    let text = node
        .has_tag_name("text")
        .then(|| node.text().unwrap_or_default())?;
    let (x, y, width) = (number(node, "x"), number(node, "y"), text_width(text));
    let left = match node.attribute("text-anchor") {
        Some("start") => x,
        Some("middle") => x - width / 2.0,
        Some("end") => x - width,
        other => panic!("anchor {other:?}"),
    };
    (width > 0.0).then_some([left, y - ABOVE, left + width, y + BELOW])
}
