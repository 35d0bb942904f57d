//! Numbers as people read them.

/// `1532` as `1,532`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `part` of `whole` in per cent with one decimal; a little is `< 0.1 %`, not nothing.
pub fn percent(part: usize, whole: usize) -> String {
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    match part > 0 && share < 0.05 {
        true => "< 0.1 %".into(),
        false => format!("{share:.1} %"),
    }
}

/// A number and its noun: `1 row`, `2 rows`.
pub fn counted(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", grouped(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_a_little_is_not_nothing() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [percent(0, 9000), percent(1, 9000), percent(1, 3)],
            ["0.0 %", "< 0.1 %", "33.3 %"]
        );
        assert_eq!(
            [0, 1, 2000].map(|number| counted(number, "row")),
            ["0 rows", "1 row", "2,000 rows"]
        );
    }
}
