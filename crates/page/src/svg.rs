//! A small writer of SVG: rectangles, lines and texts that take their colours from the page.
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

impl Svg {
    /// A bar, with a word that shows when it is pointed at.
    pub fn bar(&mut self, class: &str, [x, y, width, height]: [f64; 4], told: &str) {
        self.body += &format!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\">",
            width.max(0.0)
        );
        if !told.is_empty() {
            self.body += &format!("<title>{}</title>", escape(told));
        }
        self.body += "</rect>";
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
