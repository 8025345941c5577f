//! Durations as ISO 8601 writes them and Java reads them: `P2DT3H4M5.5S`.

use std::time::Duration;

/// The duration; `None` if the text is none, or a negative one. Letter case matters not.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim().to_ascii_uppercase();
    let rest = text.strip_prefix('P')?;
    let (days, time) = match rest.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (rest, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    let mut left = days;
    seconds += part(&mut left, 'D')? * 86_400.0;
    if !left.is_empty() {
        return None;
    }
    left = time;
    for (unit, weight) in [('H', 3_600.0), ('M', 60.0), ('S', 1.0)] {
        seconds += part(&mut left, unit)? * weight;
    }
    let duration = left.is_empty().then(|| Duration::try_from_secs_f64(seconds).ok());
    duration.flatten()
}

/// The number before this unit, which is taken off; zero if the unit is not there.
fn part(text: &mut &str, unit: char) -> Option<f64> {
    let Some((number, rest)) = text.split_once(unit) else {
        return Some(0.0);
    };
    *text = rest;
    let is_fit = number.chars().all(|c| c.is_ascii_digit() || (c == '.' && unit == 'S'));
    number.parse().ok().filter(|_| is_fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_java_reads_them() {
        let good = [
            ("PT0S", 0.0),
            ("PT1H30M", 5_400.0),
            ("p2dt3h4m5.5s", 183_845.5),
            ("P1D", 86_400.0),
            ("PT90M", 5_400.0),
        ];
        for (text, seconds) in good {
            assert_eq!(
                parse(text).map(|duration| duration.as_secs_f64()),
                Some(seconds),
                "{text}"
            );
        }
        for text in ["", "P", "PT", "1H", "PT1X", "PT-1H", "P1H", "PT1M1H", "PTS", "P1DT"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
