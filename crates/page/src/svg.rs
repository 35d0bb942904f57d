//! A small writer of SVG: rectangles, lines, marks and texts that take their colours from the page.
//!
//! Not plotters: its SVG has fixed colours and no class, title or role, so that it can be neither dark nor read out,
//! and it guesses widths of texts without a font.

use crate::escape;

/// Units of a figure's width; about a phone's pixels, so that its texts are not scaled down there.
pub const WIDTH: f64 = 340.0;
/// Height of a line of text.
pub const LINE: f64 = 18.0;

/// The inside of a picture.
#[derive(Clone, Debug, Default)]
pub struct Svg {
    body: String,
}

/// Where a text stands by its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The point is its left end.
    Start,
    /// The point is its middle.
    Middle,
    /// The point is its right end.
    End,
}

/// Marks that are told apart without their colour.
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
    /// All of them.
    pub const ALL: [Shape; 6] = [
        Shape::Circle,
        Shape::Square,
        Shape::Up,
        Shape::Diamond,
        Shape::Down,
        Shape::Cross,
    ];

    /// Corners around a middle, for a radius of 1; none for what is round. All look about as large.
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
    /// A bar, with a word that shows when it is pointed at.
    pub fn bar(&mut self, class: &str, [x, y, width, height]: [f64; 4], told: &str) {
        self.body += &format!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\">",
            width.max(0.0)
        );
        self.told(told);
        self.body += "</rect>";
    }

    /// A line through points, with a word that shows when it is pointed at.
    pub fn curve(&mut self, class: &str, points: &[[f64; 2]], told: &str) {
        let points = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}"));
        let points = points.collect::<Vec<_>>().join(" ");
        self.body += &format!("<polyline class=\"{class}\" points=\"{points}\">");
        self.told(told);
        self.body += "</polyline>";
    }

    /// A mark on a point, of a radius, with a word that shows when it is pointed at.
    pub fn mark(&mut self, class: &str, shape: Shape, [x, y]: [f64; 2], radius: f64, told: &str) {
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
        self.told(told);
        self.body += end;
    }

    /// Names of colours in a row of their own, from the top; returns where the next thing may begin.
    pub fn swatches(&mut self, names: &[(&str, &str)]) -> f64 {
        let mut x = 0.0;
        for (class, name) in names {
            self.bar(class, [x, 2.0, 11.0, 11.0], "");
            self.text("", At::Start, [x + 16.0, 12.0], name);
            x += 16.0 + wide(name) + 14.0;
        }
        LINE + 8.0
    }

    /// A line of two names: the left one is cut where the right one needs the room.
    pub fn names(&mut self, y: f64, left: &str, right: &str) {
        let right = fitting(right, WIDTH - 3.0 * LINE);
        let room = WIDTH - wide(&right) - 8.0;
        self.text("", At::Start, [0.0, y], &fitting(left, room));
        self.text("number", At::End, [WIDTH, y], &right);
    }

    fn told(&mut self, told: &str) {
        if !told.is_empty() {
            self.body += &format!("<title>{}</title>", escape(told));
        }
    }

    /// A line of text on its base line.
    pub fn text(&mut self, class: &str, at: At, [x, y]: [f64; 2], text: &str) {
        let anchor = match at {
            At::Start => "start",
            At::Middle => "middle",
            At::End => "end",
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

    /// What was drawn.
    pub fn done(self) -> String {
        self.body
    }
}

/// About how wide a text is: most letters are narrower.
pub fn wide(text: &str) -> f64 {
    6.6 * text.chars().count() as f64
}

/// A text that fits into a width, cut where it must be.
pub fn fitting(text: &str, width: f64) -> String {
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
