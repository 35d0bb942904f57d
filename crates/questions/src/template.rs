//! Question templates: `{slots}` to be filled, and a claim with its opposite, of which one is chosen.

/// The template with its slots filled and its claims chosen; `{Name}` takes the slot `name` with a
/// capital, `[this|that]` is `this` where `first` is set.
pub(crate) fn fill(template: &str, slots: &[(&'static str, String)], first: bool) -> String {
    let mut out = String::with_capacity(2 * template.len());
    fill_into(&mut out, template, slots, first);
    out
}

fn fill_into(out: &mut String, mut rest: &str, slots: &[(&'static str, String)], first: bool) {
    while let Some(start) = rest.find(['{', '[']) {
        out.push_str(&rest[..start]);
        let close = if rest[start..].starts_with('{') {
            '}'
        } else {
            ']'
        };
        let (inside, after) = rest[start + 1..]
            .split_once(close)
            .expect("a closed bracket");
        match close {
            '}' => slot_into(out, inside, slots),
            _ => {
                let (this, that) = inside.split_once('|').expect("a claim and its opposite");
                fill_into(out, if first { this } else { that }, slots, first);
            }
        }
        rest = after;
    }
    out.push_str(rest);
}

fn slot_into(out: &mut String, name: &str, slots: &[(&'static str, String)]) {
    let key = name.to_lowercase();
    let (_, value) = slots
        .iter()
        .find(|(slot, _)| *slot == key)
        .unwrap_or_else(|| panic!("no slot {name}"));
    match name == key {
        true => out.push_str(value),
        false => out.push_str(&capital(value)),
    }
}

/// The text with a capital first letter.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn templates_are_filled_with_and_without_a_capital_and_choose_a_claim() {
        let slots = [("drug", "the new drug".to_owned())];
        let template = "{Drug} or {drug}: [more|less than {drug}]?";
        assert_eq!(
            fill(template, &slots, true),
            "The new drug or the new drug: more?"
        );
        assert_eq!(
            fill(template, &slots, false),
            "The new drug or the new drug: less than the new drug?"
        );
    }
}
