//! The class-by-class table for a terminal.

use super::Judgement;
use super::format::count;

/// Classes as rows, then the averages, then the accuracy.
pub(super) fn table(classes: &[String], judged: &Judgement) -> String {
    let summary = &judged.summary;
    let names = ["class", "macro average", "weighted average"];
    let width =
        names.into_iter().chain(classes.iter().map(String::as_str)).map(columns).max().unwrap_or(0);
    let line = |name: &str, cells: [String; 4]| {
        let padding = " ".repeat(width.saturating_sub(columns(name)));
        let [images, precision, recall, f1] = cells;
        format!("{name}{padding}  {images:>7}  {precision:>9}  {recall:>6}  {f1:>6}\n")
    };
    let scores = |name: &str, images: u64, precision: f64, recall: f64, f1: f64| {
        let share = |value: f64| format!("{:.1}", 100.0 * value);
        line(name, [count(images), share(precision), share(recall), share(f1)])
    };
    let mut out = line("class", ["images", "precision", "recall", "F1"].map(str::to_string));
    for (index, class) in summary.classes.iter().enumerate() {
        let name = classes.get(index).map_or("?", String::as_str);
        out += &scores(&printable(name), class.support, class.precision, class.recall, class.f1);
    }
    out.push('\n');
    for (name, average) in
        [("macro average", summary.macro_average), ("weighted average", summary.weighted_average)]
    {
        out += &scores(name, summary.count, average.precision, average.recall, average.f1);
    }
    out += &format!(
        "\naccuracy {:.2} % ({} of {} {} images), log loss {:.4}",
        100.0 * summary.top1,
        count(summary.correct),
        count(summary.count),
        judged.split,
        summary.log_loss
    );
    if summary.classes.len() > 5 {
        out += &format!(", top-5 {:.2} %", 100.0 * summary.top5);
    }
    if summary.invalid > 0 {
        out += &format!(
            "\nno answer for {} of them: the network's output is not a number. Training diverged; try a lower rate",
            count(summary.invalid)
        );
    }
    out
}

/// A name without the characters that steer a terminal.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn columns(name: &str) -> usize {
    name.chars().count()
}

#[cfg(test)]
mod tests {
    use super::super::sample;

    #[test]
    fn columns_are_aligned() {
        let report = sample::report(3, 1);
        let table = report.to_table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 1 + 3 + 1 + 2 + 1 + 1);
        assert!(lines[0].starts_with("class "));
        assert!(lines[7].is_empty() && lines[8].starts_with("accuracy "));
        let end = lines[0].chars().count();
        assert!(
            lines[..7]
                .iter()
                .filter(|line| !line.is_empty())
                .all(|line| line.chars().count() == end)
        );
        assert_eq!(report.to_string(), table);
    }

    #[test]
    fn names_do_not_steer_the_terminal() {
        let mut report = sample::report(2, 1);
        report.data.classes =
            ocelli_core::ClassNames::new(vec!["\u{1b}[31mred".into(), "b".into()]).unwrap();
        assert!(!report.to_table().contains('\u{1b}'));
    }
}
