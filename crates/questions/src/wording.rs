//! What a family of questions consists of: wordings, and the cases that they ask about.

use crate::random::Random;

/// A kind of reasoning, asked about in several wordings.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// Whether all its rows are held out from training.
    pub(crate) held_out: bool,
    pub(crate) wordings: &'static [Wording],
}

/// One way to ask about a case.
pub(crate) struct Wording {
    /// Name in the ids of its rows.
    pub(crate) name: &'static str,
    /// Whether its rows are held out from training.
    pub(crate) held_out: bool,
    /// Level of difficulty without irrelevant sentences.
    pub(crate) level: u8,
    /// Draws numbers and computes the truth; none when a printed number is too close to the boundary.
    pub(crate) draw: fn(&mut Random) -> Option<Case>,
    /// The question: `{slots}`, `{Slot}` with a capital, and a claim as `[this|its opposite]`.
    pub(crate) template: &'static str,
}

/// A drawn case.
#[derive(PartialEq)]
pub(crate) struct Case {
    /// Whether the template's first claim is true (false: its opposite is); none when that is open.
    pub(crate) truth: Option<bool>,
    pub(crate) slots: Slots,
    pub(crate) rationale: String,
}

/// Texts for a template's slots, by name.
pub(crate) type Slots = Vec<(&'static str, String)>;

/// Slots from variables of the same names, or from `name = value`; `scene;` before them adds the slots of a scene.
macro_rules! slots {
    (@ $name:ident) => { $name.to_string() };
    (@ $name:ident $value:expr) => { $value.to_string() };
    ($scene:ident; $($rest:tt)*) => {{
        let mut all = $scene.slots();
        all.extend($crate::wording::slots!($($rest)*));
        all
    }};
    ($($name:ident $(= $value:expr)?),* $(,)?) => {
        vec![$((
            stringify!($name),
            $crate::wording::slots!(@ $name $($value)?),
        )),*]
    };
}
pub(crate) use slots;

pub(crate) const fn trained(
    name: &'static str,
    level: u8,
    draw: fn(&mut Random) -> Option<Case>,
    template: &'static str,
) -> Wording {
    Wording {
        name,
        held_out: false,
        level,
        draw,
        template,
    }
}

pub(crate) const fn held(
    name: &'static str,
    level: u8,
    draw: fn(&mut Random) -> Option<Case>,
    template: &'static str,
) -> Wording {
    Wording {
        name,
        held_out: true,
        level,
        draw,
        template,
    }
}
