//! The confusion matrix of the page: a table of counts where it can be read, small cells where it cannot.

use ocelli_metrics::ConfusionMatrix;

use super::Report;
use super::format::{count, escape, percent, plural};

/// Above so many classes, cells are too small for numbers.
const READABLE: usize = 25;
/// Above so many classes, they are set closer.
const WIDE: usize = 14;
/// Rows of the list of confusions.
const LISTED: usize = 20;
/// Above so many cells that are not zero, tooltips would make the page heavy.
const TOOLTIPS: usize = 20_000;

/// The matrix, and the list of the strongest confusions where the matrix is large.
pub(super) fn section(report: &Report) -> String {
    let matrix = &report.evaluation.confusion;
    let name = |class: usize| report.data.classes.name(class);
    let large = matrix.classes() > READABLE;
    let mut out = "<section id=\"confusion\"><h2>Confusion matrix</h2>".to_string();
    let pairs = strongest(matrix);
    if pairs.is_empty() && matrix.unpredicted() == 0 {
        out += "<p class=\"note\">No image was taken for another class.</p>";
    } else if large {
        out += &list(&pairs, matrix, &name);
    }
    out += "<p class=\"note\">A row holds the images of one class, a column the answers; right answers lie on \
            the diagonal. Colours show the share of the row.</p>";
    out += &if large { cells(matrix, &name) } else { table(matrix, &name) };
    if matrix.unpredicted() > 0 {
        let images = plural(matrix.unpredicted(), "image", "images");
        out += &format!(
            "<p class=\"note\">{images} got no answer: the network's output was not a number.</p>"
        );
    }
    out + "</section>"
}

/// Pairs of a class and another one that it was taken for, the most frequent first.
fn strongest(matrix: &ConfusionMatrix) -> Vec<(usize, usize, u64)> {
    let classes = matrix.classes();
    let mut pairs: Vec<(usize, usize, u64)> = matrix
        .counts()
        .iter()
        .enumerate()
        .map(|(index, &count)| (index / classes, index % classes, count))
        .filter(|&(truth, predicted, count)| truth != predicted && count > 0)
        .collect();
    pairs.sort_by_key(|&(truth, predicted, count)| (std::cmp::Reverse(count), truth, predicted));
    pairs
}

fn list<'a>(
    pairs: &[(usize, usize, u64)],
    matrix: &ConfusionMatrix,
    name: &impl Fn(usize) -> &'a str,
) -> String {
    let row = |&(truth, predicted, n): &(usize, usize, u64)| {
        format!(
            "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td>{}</td><td>{}</td></tr>",
            escape(name(truth)),
            escape(name(predicted)),
            count(n),
            percent(share(n, matrix.support(truth)))
        )
    };
    let rows: String = pairs.iter().take(LISTED).map(row).collect();
    format!(
        "<h3>Strongest confusions</h3>\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Strongest confusions\">\
         <table class=\"pairs\"><thead><tr><th scope=\"col\">shows</th><th scope=\"col\" class=\"text\">taken \
         for</th><th scope=\"col\">images</th><th scope=\"col\">of its class</th></tr></thead>\
         <tbody>{rows}</tbody></table></div>"
    )
}

fn table<'a>(matrix: &ConfusionMatrix, name: &impl Fn(usize) -> &'a str) -> String {
    let classes = matrix.classes();
    let heads: String = (0..classes)
        .map(|c| format!("<th scope=\"col\"><span>{}</span></th>", escape(name(c))))
        .collect();
    let cell = |truth: usize, predicted: usize, support: u64| {
        let n = matrix.count(truth, predicted);
        if n == 0 {
            return "<td class=\"none\">·</td>".to_string();
        }
        let kind = if truth == predicted { "right" } else { "wrong" };
        let tip = escape(&tip(name(truth), name(predicted), n, support));
        let alpha = strength(n, support);
        format!("<td class=\"{kind}\" style=\"--a:{alpha:.2}\" title=\"{tip}\">{}</td>", count(n))
    };
    let row = |truth: usize| {
        let support = matrix.support(truth);
        let cells: String = (0..classes).map(|predicted| cell(truth, predicted, support)).collect();
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>", escape(name(truth)))
    };
    let rows: String = (0..classes).map(row).collect();
    let dense = if classes > WIDE { " dense" } else { "" };
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Confusion matrix\">\
         <table class=\"confusion{dense}\"><thead><tr><td class=\"corner\">shows ↓ answer →</td>{heads}</tr></thead>\
         <tbody>{rows}</tbody></table></div>"
    )
}

/// One small square for each cell that is not zero.
fn cells<'a>(matrix: &ConfusionMatrix, name: &impl Fn(usize) -> &'a str) -> String {
    let classes = matrix.classes();
    let filled = matrix.counts().iter().filter(|&&n| n > 0).count();
    let label = format!(
        "Confusion matrix of {classes} classes; {} of {} images lie on the diagonal",
        count(matrix.correct()),
        count(matrix.total())
    );
    let mut out = format!(
        "<svg class=\"cells\" viewBox=\"-0.5 -0.5 {0} {0}\" role=\"img\" aria-label=\"{label}\">\
         <rect class=\"frame\" width=\"{classes}\" height=\"{classes}\"/>",
        classes + 1
    );
    for truth in 0..classes {
        let support = matrix.support(truth);
        for predicted in 0..classes {
            let n = matrix.count(truth, predicted);
            if n == 0 {
                continue;
            }
            let kind = if truth == predicted { "right" } else { "wrong" };
            let alpha = strength(n, support);
            out += &format!(
                "<rect class=\"{kind}\" x=\"{predicted}\" y=\"{truth}\" width=\"1\" height=\"1\" \
                 style=\"--a:{alpha:.2}\""
            );
            if filled > TOOLTIPS {
                out += "/>";
            } else {
                let tip = escape(&tip(name(truth), name(predicted), n, support));
                out += &format!("><title>{tip}</title></rect>");
            }
        }
    }
    out + "</svg>"
}

fn tip(truth: &str, predicted: &str, n: u64, support: u64) -> String {
    let (n, share, support) = (count(n), percent(share(n, support)), count(support));
    format!("{truth} taken for {predicted}: {n} of {support} ({share})")
}

fn share(n: u64, of: u64) -> f64 {
    n as f64 / of.max(1) as f64
}

/// How strong a colour is, 0..1. A single image of many must still be seen.
fn strength(n: u64, support: u64) -> f64 {
    0.12 + 0.88 * share(n, support).sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_strongest_confusion_comes_first() {
        let mut matrix = ConfusionMatrix::new(3);
        for (truth, predicted) in [(0, 0), (1, 2), (1, 2), (2, 0), (0, 1)] {
            matrix.add(truth, predicted).unwrap();
        }
        assert_eq!(strongest(&matrix), [(1, 2, 2), (0, 1, 1), (2, 0, 1)]);
    }

    #[test]
    fn small_matrices_are_tables_and_large_ones_drawings() {
        let small = section(&sample::report(25, 1));
        assert!(small.contains("class=\"confusion dense\"") && !small.contains("<svg"));
        assert!(small.contains("taken for") && small.contains(" of "));
        let large = section(&sample::report(26, 1));
        assert!(large.contains("<svg class=\"cells\"") && large.contains("class=\"pairs\""));
        assert!(!large.contains("class=\"confusion"));
    }
}
