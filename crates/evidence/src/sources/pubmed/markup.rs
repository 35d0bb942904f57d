//! Plain text out of the mark-up of titles and abstracts.
//!
//! `<i>`, `<b>`, `<u>` and unknown elements leave their text. A superscript is joined to what is before it (`m2`, `CD4+`,
//! `18F`), unless that would make one number of two: behind a digit, one that begins with a digit or a signed digit gets
//! a caret (`10^-3`). A subscript is joined too (`H2O`), behind a digit with an underscore (`5_2`). Where a digit follows
//! either that ended in one, a space parts them. MathML is written in one line: `x^2`, `x_i`, `a/b`, `√(x)`; its
//! annotations, which say the same in TeX, are left out.

use verdict_data::blanks;

/// Text that is collected.
#[derive(Default)]
pub(super) struct Plain {
    text: String,
    open: Vec<Open>,
    /// Where a subscript or superscript ended.
    script_end: Option<usize>,
    /// Elements of MathML that are open.
    math: usize,
    /// Annotations that are open.
    muted: usize,
}

/// An element that is open.
struct Open {
    kind: Kind,
    /// Where its text begins.
    from: usize,
    children: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Sup,
    Sub,
    Math,
    Fraction,
    MathSup,
    MathSub,
    MathSubSup,
    Root,
    Annotation,
    Other,
}

impl Kind {
    fn of(name: &str) -> Kind {
        match name {
            "sup" => Kind::Sup,
            "sub" => Kind::Sub,
            "math" => Kind::Math,
            "mfrac" => Kind::Fraction,
            "msup" | "mover" => Kind::MathSup,
            "msub" | "munder" => Kind::MathSub,
            "msubsup" | "munderover" => Kind::MathSubSup,
            "msqrt" => Kind::Root,
            "annotation" | "annotation-xml" => Kind::Annotation,
            _ => Kind::Other,
        }
    }

    /// What is written before a child with this many before it.
    fn before(self, children: usize) -> &'static str {
        match (self, children) {
            (Kind::Fraction, 1) => "/",
            (Kind::MathSup, 1) | (Kind::MathSubSup, 2) => "^",
            (Kind::MathSub | Kind::MathSubSup, 1) => "_",
            _ => "",
        }
    }
}

impl Plain {
    pub(super) fn push(&mut self, text: &str) {
        // Blanks between the elements of a formula are for who reads the file.
        if self.muted > 0 || text.is_empty() || (self.math > 0 && text.trim().is_empty()) {
            return;
        }
        if self.script_end == Some(self.text.len())
            && self.text.ends_with(is_digit)
            && text.starts_with(is_digit)
        {
            self.text.push(' ');
        }
        self.text.push_str(text);
    }

    pub(super) fn open(&mut self, name: &str) {
        let kind = Kind::of(name);
        if let Some(parent) = self.open.last_mut() {
            let mark = parent.kind.before(parent.children);
            parent.children += 1;
            if self.muted == 0 {
                self.text.push_str(mark);
            }
        }
        match kind {
            Kind::Math => self.math += 1,
            Kind::Annotation => self.muted += 1,
            Kind::Root => self.text.push_str("√("),
            _ => {}
        }
        self.open.push(Open {
            kind,
            from: self.text.len(),
            children: 0,
        });
    }

    /// False where nothing was open: the text ends.
    pub(super) fn close(&mut self) -> bool {
        let Some(open) = self.open.pop() else {
            return false;
        };
        match open.kind {
            Kind::Math => self.math -= 1,
            Kind::Annotation => self.muted -= 1,
            Kind::Root => self.text.push(')'),
            Kind::Sup => self.script(open.from, '^'),
            Kind::Sub => self.script(open.from, '_'),
            _ => {}
        }
        true
    }

    /// Parts a script that begins `from` there from the number before it.
    fn script(&mut self, from: usize, mark: char) {
        let (before, script) = self.text.split_at(from);
        let script = script.trim_start();
        let unsigned = script.trim_start_matches(['-', '\u{2212}', '\u{2013}', '+']);
        let signed = mark == '^' || unsigned.len() == script.len();
        if before.ends_with(is_digit) && unsigned.starts_with(is_digit) && signed {
            self.text.insert(from, mark);
        }
        self.script_end = (self.text.len() > from).then_some(self.text.len());
    }

    /// The text with single spaces.
    pub(super) fn finish(self) -> String {
        blanks(&self.text)
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}
