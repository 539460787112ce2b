//! Durations as Go writes them (`24h`, `90m`, `1h30m`), in whole seconds.

use crate::domain::text::text;

text! {
    /// A Go duration in hours, minutes and seconds.
    DurationText, "duration", max 32, "^([0-9]{1,9}[hms])+$",
    "must be a Go duration in h, m and s, such as 24h, 90m or 1h30m", example "1h30m"
}

impl DurationText {
    /// Its length in seconds. Text that passed the rule never overflows: it has room for three numbers of nine digits.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        let mut total = 0i64;
        let mut number = 0i64;
        for character in self.as_str().chars() {
            match character {
                'h' => (total, number) = (total + number * 3600, 0),
                'm' => (total, number) = (total + number * 60, 0),
                's' => (total, number) = (total + number, 0),
                digit => number = number * 10 + i64::from(digit.to_digit(10).unwrap_or(0)),
            }
        }
        total
    }
}

/// How long a document is good before it must be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Ttl {
    /// So many seconds.
    Seconds(i64),
    /// To the end of the License's validity.
    Contract,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_add_up() {
        assert!(DurationText::EXAMPLE.parse::<DurationText>().is_ok());
        for (text, seconds) in
            [("24h", 86_400), ("90m", 5_400), ("1h30m", 5_400), ("0s", 0), ("1h1m1s", 3_661)]
        {
            assert_eq!(text.parse::<DurationText>().unwrap().seconds(), seconds, "{text}");
        }
    }

    #[test]
    fn what_go_would_not_read_is_refused() {
        for text in ["", "1", "h", "1d", "-1h", "1.5h", "1 h"] {
            assert!(text.parse::<DurationText>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_longest_duration_does_not_overflow() {
        let text = format!("{0}h{0}h{0}h", "9".repeat(9));
        assert_eq!(text.parse::<DurationText>().unwrap().seconds(), 3 * 999_999_999 * 3600);
    }
}
