//! Counts, shares, durations and sizes as people read them.

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

/// `part` of `whole` in per cent with one decimal; less than that, but not 0, is `< 0.1 %`.
pub fn percent(part: usize, whole: usize) -> String {
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    match part > 0 && share < 0.05 {
        true => "< 0.1 %".into(),
        false => format!("{share:.1} %"),
    }
}

/// A share in per cent with one decimal: 0.4567 as "45.7 %".
pub fn share(value: f64) -> String {
    format!("{:.1} %", 100.0 * value)
}

/// A number to four significant digits without trailing zeros: `1.44`, `−0.5`, `1,532`, `2e-5`; `–` where it is not
/// finite.
pub fn significant(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let size = value.abs();
    let trimmed = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    let text = match size {
        0.0 => "0".into(),
        size if !(1e-4..1e7).contains(&size) => {
            let text = format!("{size:.3e}");
            let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{}e{power}", trimmed(digits.to_owned()))
        }
        size => {
            let decimals = (3.0 - size.log10().floor()).max(0.0) as usize;
            let text = trimmed(format!("{size:.decimals$}"));
            let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
            let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
            format!("{whole}{rest}")
        }
    };
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{text}")
}

/// A number and its noun: `1 row`, `2 rows`.
pub fn counted(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", grouped(number)),
    }
}

/// Seconds as a clock shows them: `0:07`, `12:05`, `1:02:03`, `3 d 4:05:06`.
pub fn duration(seconds: f64) -> String {
    let all = seconds.max(0.0).round() as u64;
    let (days, hours, minutes, seconds) = (all / 86_400, all / 3600 % 24, all / 60 % 60, all % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{seconds:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{days} d {hours}:{minutes:02}:{seconds:02}"),
    }
}

/// A number of bytes in the unit that suits it: `12 B`, `1.5 KiB`, `256.6 MiB`, `2.00 GiB`.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} B"),
        1_024..1_048_576 => format!("{:.1} KiB", count as f64 / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", count as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", count as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_the_units_that_suit_them() {
        assert_eq!(
            [7.4, 725.0, 3723.0, 273_906.0, -1.0].map(duration),
            ["0:07", "12:05", "1:02:03", "3 d 4:05:06", "0:00"]
        );
        assert_eq!(
            [12, 1_536, 269_060_552, 2_147_483_648].map(bytes),
            ["12 B", "1.5 KiB", "256.6 MiB", "2.00 GiB"]
        );
    }

    #[test]
    fn four_digits_are_enough() {
        for (value, text) in [
            (0.0, "0"),
            (1.44, "1.44"),
            (-0.5, "−0.5"),
            (2.856_71, "2.857"),
            (1532.4, "1,532"),
            (999.96, "1,000"),
            (123_456.0, "123,456"),
            (2e-5, "2e-5"),
            (3e-4, "0.0003"),
            (1.234_56e300, "1.235e300"),
            (f64::NAN, "–"),
            (f64::NEG_INFINITY, "–"),
        ] {
            assert_eq!(significant(value), text, "{value}");
        }
    }

    #[test]
    fn numbers_are_grouped_and_small_shares_are_not_zero() {
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
