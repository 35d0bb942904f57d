//! What a family of questions is made of: its wordings, and the cases that they are asked of.

use crate::random::Random;

/// One way to reason, asked in several wordings.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// Whether all its rows are kept from training.
    pub(crate) held_out: bool,
    pub(crate) wordings: &'static [Wording],
}

/// One way to ask.
pub(crate) struct Wording {
    /// Name in the ids of its rows.
    pub(crate) name: &'static str,
    /// Whether its rows are kept from training.
    pub(crate) held_out: bool,
    /// Level of difficulty without sentences that have no bearing.
    pub(crate) level: u8,
    /// Draws numbers and computes the truth; none where a printed number touches the boundary.
    pub(crate) draw: fn(&mut Random) -> Option<Case>,
    /// The question: `{slots}`, `{Slot}` with a capital, and a claim as `[this|its opposite]`.
    pub(crate) template: &'static str,
}

/// One drawn situation.
#[derive(PartialEq)]
pub(crate) struct Case {
    /// Whether the template's first claim holds (false: its opposite does); none where that is open.
    pub(crate) truth: Option<bool>,
    pub(crate) slots: Slots,
    pub(crate) rationale: String,
}

/// What stands in a template's slots.
pub(crate) type Slots = Vec<(&'static str, String)>;

/// The slots of the named variables, after those of a scene where one stands before a semicolon.
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
