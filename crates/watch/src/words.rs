//! Formats times, ages, rates, losses and intervals for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A clock in the time zone of the user.
#[derive(Clone, Debug)]
pub struct Clock {
    zone: TimeZone,
}

impl Clock {
    /// In this machine's time zone.
    pub fn local() -> Clock {
        let zone = TimeZone::system();
        Clock { zone }
    }

    /// In UTC.
    pub fn utc() -> Clock {
        Clock {
            zone: TimeZone::UTC,
        }
    }

    /// Formats a time in seconds since 1970-01-01 UTC: `12:03:05`; with the date if `now` is another day.
    pub fn time(&self, seconds: f64, now: f64) -> String {
        let zoned = |seconds: f64| {
            let stamp = Timestamp::from_second(seconds.floor() as i64);
            Some(stamp.ok()?.to_zoned(self.zone.clone()))
        };
        let (Some(time), Some(now)) = (zoned(seconds), zoned(now)) else {
            return "–".into();
        };
        let form = if time.date() == now.date() {
            "%H:%M:%S"
        } else {
            "%Y-%m-%d %H:%M:%S"
        };
        time.strftime(form).to_string()
    }
}

/// How long ago something happened, in its largest unit: `now`, `4 s ago`, `4 min ago`, `3 h ago`, `2 days ago`.
pub fn ago(seconds: f64) -> String {
    match seconds {
        s if s < 2.0 => "now".into(),
        s if s < 120.0 => format!("{s:.0} s ago"),
        s if s < 7_200.0 => format!("{:.0} min ago", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h ago", s / 3600.0),
        s => format!("{:.0} days ago", s / 86_400.0),
    }
}

/// A learning rate: `3e-4`, `2.51e-4`, `0`.
pub fn rate(lr: f64) -> String {
    if lr == 0.0 {
        return "0".into();
    }
    let text = format!("{lr:.2e}");
    match text.split_once('e') {
        Some((digits, power)) if digits.contains('.') => {
            let digits = digits.trim_end_matches('0').trim_end_matches('.');
            format!("{digits}e{power}")
        }
        _ => text,
    }
}

/// The bounds of an interval of shares in percent: `40.1–50.3`.
pub fn interval((low, high): (f64, f64)) -> String {
    format!("{:.1}–{:.1}", 100.0 * low, 100.0 * high)
}

/// A loss: `1.234`.
pub fn loss(value: f64) -> String {
    format!("{value:.3}")
}

/// Text on one line, without control characters.
pub fn plain(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_another_day_have_their_date() {
        let clock = Clock::utc();
        // 2026-11-23 12:03:05 UTC.
        let at = 1_795_435_385.9;
        assert_eq!(clock.time(at, at + 240.0), "12:03:05");
        assert_eq!(clock.time(at, at + 86_400.0), "2026-11-23 12:03:05");
        assert_eq!(clock.time(f64::INFINITY, at), "–");
    }

    #[test]
    fn ages_rates_and_foreign_text_are_formatted() {
        let found = [0.4, 61.0, 240.0, 10_800.0, 200_000.0].map(ago);
        assert_eq!(
            found,
            ["now", "61 s ago", "4 min ago", "3 h ago", "2 days ago"]
        );
        assert_eq!(
            [3e-4, 2.512e-4, 0.0, 1.0].map(rate),
            ["3e-4", "2.51e-4", "0", "1e0"]
        );
        assert_eq!(plain("a\u{1b}[2J\n b"), "a\u{fffd}[2J b");
    }
}
