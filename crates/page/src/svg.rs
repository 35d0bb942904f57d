//! A small SVG writer: rectangles, lines, marks and texts that take their colours from the page's style sheet.
//!
//! The plotters crate is not used: its SVG has fixed colours and no classes, titles or roles, so it neither follows a
//! dark theme nor works with screen readers.

use crate::escape::escape;

/// Width of a figure, about that of a phone in pixels, so that text is not scaled down there.
pub const WIDTH: f64 = 340.0;
/// Height of a line of text.
pub const LINE: f64 = 18.0;

/// The content of an SVG element.
#[derive(Clone, Debug, Default)]
pub struct Svg {
    body: String,
}

/// How a text is aligned to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The point is its left end.
    Start,
    /// The point is its middle.
    Middle,
    /// The point is its right end.
    End,
}

/// Marks that can be told apart without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// ●
    Circle,
    /// ■
    Square,
    /// ▲
    Up,
    /// ◆
    Diamond,
    /// ▼
    Down,
    /// ✚
    Cross,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Shape; 6] = [
        Shape::Circle,
        Shape::Square,
        Shape::Up,
        Shape::Diamond,
        Shape::Down,
        Shape::Cross,
    ];

    /// Corners around the centre for a radius of 1; none for the circle. Sized to look equally large.
    fn corners(self) -> &'static [[f64; 2]] {
        match self {
            Shape::Circle => &[],
            Shape::Square => &[[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
            Shape::Up => &[[0.0, -1.2], [1.2, 0.9], [-1.2, 0.9]],
            Shape::Diamond => &[[0.0, -1.3], [1.3, 0.0], [0.0, 1.3], [-1.3, 0.0]],
            Shape::Down => &[[0.0, 1.2], [1.2, -0.9], [-1.2, -0.9]],
            Shape::Cross => &[
                [-0.4, -1.2],
                [0.4, -1.2],
                [0.4, -0.4],
                [1.2, -0.4],
                [1.2, 0.4],
                [0.4, 0.4],
                [0.4, 1.2],
                [-0.4, 1.2],
                [-0.4, 0.4],
                [-1.2, 0.4],
                [-1.2, -0.4],
                [-0.4, -0.4],
            ],
        }
    }
}

impl Svg {
    /// A bar with a tooltip.
    pub fn bar(&mut self, class: &str, [x, y, width, height]: [f64; 4], tooltip: &str) {
        self.body += &format!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\">",
            width.max(0.0)
        );
        self.tooltip(tooltip);
        self.body += "</rect>";
    }

    /// A line through points, with a tooltip.
    pub fn curve(&mut self, class: &str, points: &[[f64; 2]], tooltip: &str) {
        let points = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}"));
        let points = points.collect::<Vec<_>>().join(" ");
        self.body += &format!("<polyline class=\"{class}\" points=\"{points}\">");
        self.tooltip(tooltip);
        self.body += "</polyline>";
    }

    /// A mark on a point, with a tooltip.
    pub fn mark(
        &mut self,
        class: &str,
        shape: Shape,
        [x, y]: [f64; 2],
        radius: f64,
        tooltip: &str,
    ) {
        let corners = shape.corners();
        let end = if corners.is_empty() {
            self.body += &format!(
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\">"
            );
            "</circle>"
        } else {
            let corners = corners
                .iter()
                .map(|[a, b]| format!("{:.1},{:.1}", x + radius * a, y + radius * b));
            let corners = corners.collect::<Vec<_>>().join(" ");
            self.body += &format!("<polygon class=\"{class}\" points=\"{corners}\">");
            "</polygon>"
        };
        self.tooltip(tooltip);
        self.body += end;
    }

    /// A legend of colours in one row at the top; returns the y coordinate below it.
    pub fn swatches(&mut self, names: &[(&str, &str)]) -> f64 {
        let mut x = 0.0;
        for (class, name) in names {
            self.bar(class, [x, 2.0, 11.0, 11.0], "");
            self.text("", Anchor::Start, [x + 16.0, 12.0], name);
            x += 16.0 + text_width(name) + 14.0;
        }
        LINE + 8.0
    }

    /// A line with two texts; the left one is truncated where the right one needs the room.
    pub fn names(&mut self, y: f64, left: &str, right: &str) {
        let right = truncated(right, WIDTH - 3.0 * LINE);
        let room = WIDTH - text_width(&right) - 8.0;
        self.text("", Anchor::Start, [0.0, y], &truncated(left, room));
        self.text("number", Anchor::End, [WIDTH, y], &right);
    }

    fn tooltip(&mut self, tooltip: &str) {
        if !tooltip.is_empty() {
            self.body += &format!("<title>{}</title>", escape(tooltip));
        }
    }

    /// A line of text at its baseline.
    pub fn text(&mut self, class: &str, at: Anchor, [x, y]: [f64; 2], text: &str) {
        let anchor = match at {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.body += &format!(
            "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
            escape(text)
        );
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
        self.body += &format!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    /// The finished SVG content.
    pub fn done(self) -> String {
        self.body
    }
}

/// Estimated width of a text; most letters are narrower.
pub fn text_width(text: &str) -> f64 {
    6.6 * text.chars().count() as f64
}

/// A text truncated to a width.
pub fn truncated(text: &str, width: f64) -> String {
    let room = (width / 6.6) as usize;
    match text.chars().count() > room {
        true => {
            let mut cut: String = text.chars().take(room.saturating_sub(1)).collect();
            cut.truncate(cut.trim_end().len());
            cut + "…"
        }
        false => text.to_owned(),
    }
}
