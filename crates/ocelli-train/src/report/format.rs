//! Numbers and names as a reader wants them.

/// Text that is safe in HTML, in attributes too.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// A share in 0..1 as `93.4 %`, with a space that does not break.
pub(super) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1}\u{a0}%", 100.0 * share) } else { "–".to_string() }
}

/// A whole number with its thousands apart: `1,281,167`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 image`, `2 images`.
pub(super) fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A number of parameters: `271 k`, `11.2 M`.
pub(super) fn parameters(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{:.0}\u{a0}k", n as f64 / 1e3),
        _ => format!("{:.1}\u{a0}M", n as f64 / 1e6),
    }
}

/// A time: `48 s`, `3 min 20 s`, `2 h 05 min`.
pub(super) fn duration(seconds: f64) -> String {
    if !(seconds.is_finite() && seconds >= 0.0) {
        return "–".to_string();
    }
    if seconds < 10.0 {
        return format!("{seconds:.1}\u{a0}s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole}\u{a0}s"),
        60..3600 => format!("{}\u{a0}min {:02}\u{a0}s", whole / 60, whole % 60),
        _ => format!("{}\u{a0}h {:02}\u{a0}min", whole / 3600, whole % 3600 / 60),
    }
}

/// A number with so many digits behind the point, or a dash.
pub(super) fn number(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{value:.digits$}") } else { "–".to_string() }
}

/// The range in which the true share lies with 95 % confidence, `correct` of `total` having been right: the
/// score interval (Wilson 1927), which stays inside 0..1.
pub(super) fn interval(correct: u64, total: u64) -> Option<(f64, f64)> {
    if total == 0 {
        return None;
    }
    let z = 1.96f64;
    let (n, p) = (total as f64, correct as f64 / total as f64);
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    Some(((middle - half).max(0.0), (middle + half).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(escape(r#"<a b="c">&'"#), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
        assert_eq!(percent(0.9345), "93.5\u{a0}%");
        assert_eq!(percent(f64::NAN), "–");
        assert_eq!([count(7), count(1000), count(1_281_167)], ["7", "1,000", "1,281,167"]);
        assert_eq!(parameters(11_181_642), "11.2\u{a0}M");
        assert_eq!(parameters(271_000), "271\u{a0}k");
        assert_eq!(duration(3.21), "3.2\u{a0}s");
        assert_eq!(duration(59.6), "1\u{a0}min 00\u{a0}s");
        assert_eq!(duration(7502.0), "2\u{a0}h 05\u{a0}min");
        assert_eq!(duration(f64::NAN), "–");
    }

    #[test]
    fn intervals() {
        let (low, high) = interval(8, 10).unwrap();
        assert!((low - 0.4902).abs() < 1e-4 && (high - 0.9433).abs() < 1e-4, "{low} {high}");
        assert_eq!(interval(0, 0), None);
        assert!(interval(5, 5).unwrap().1 <= 1.0);
    }
}
