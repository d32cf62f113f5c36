//! The class-by-class table of the page.

use ocelli_metrics::{ClassScores, Scores};

use super::Report;
use super::format::{count, escape, percent};

/// Above so many classes, only the weakest stand open.
const OPEN: usize = 30;
const WEAKEST: usize = 15;

/// All classes, the weakest first.
pub(super) fn section(report: &Report) -> String {
    let summary = &report.evaluation.summary;
    let mut order: Vec<usize> = (0..summary.classes.len()).collect();
    order.sort_by(|&a, &b| summary.classes[a].f1.total_cmp(&summary.classes[b].f1));
    // A class without images has no score; it must not look like the weakest.
    order.sort_by_key(|&class| summary.classes[class].support == 0);
    let rows = |classes: &[usize]| -> String {
        classes
            .iter()
            .map(|&class| row(report.data.classes.name(class), &summary.classes[class]))
            .collect()
    };
    let averages = average("macro average", summary.count, &summary.macro_average)
        + &average("weighted average", summary.count, &summary.weighted_average);
    let mut out = "<section id=\"classes\"><h2>Class by class</h2>".to_string();
    if order.len() <= OPEN {
        out += &format!(
            "<p class=\"note\">By F1, the weakest first.</p>{}",
            table(&rows(&order), &averages)
        );
    } else {
        out += &format!(
            "<p class=\"note\">The {WEAKEST} weakest of {} classes by F1.</p>{}\
             <details><summary>All {} classes</summary>{}</details>",
            count(order.len() as u64),
            table(&rows(&order[..WEAKEST]), &averages),
            count(order.len() as u64),
            table(&rows(&order), &averages)
        );
    }
    out + "</section>"
}

fn table(rows: &str, averages: &str) -> String {
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Scores of each class\">\
         <table class=\"classes\"><thead><tr><th scope=\"col\">class</th><th scope=\"col\">images</th>\
         <th scope=\"col\">precision</th><th scope=\"col\">recall</th><th scope=\"col\">F1</th>\
         <td class=\"bar\"></td></tr></thead><tbody>{rows}</tbody><tfoot>{averages}</tfoot></table></div>"
    )
}

fn row(name: &str, class: &ClassScores) -> String {
    let share = |value: f64, of: u64| if of == 0 { "–".to_string() } else { percent(value) };
    let known = class.support + class.predicted;
    format!(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td>{}</tr>",
        escape(name),
        count(class.support),
        share(class.precision, class.predicted),
        share(class.recall, class.support),
        share(class.f1, known),
        bar(class.f1)
    )
}

fn average(name: &str, images: u64, scores: &Scores) -> String {
    format!(
        "<tr><th scope=\"row\">{name}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td>{}</tr>",
        count(images),
        percent(scores.precision),
        percent(scores.recall),
        percent(scores.f1),
        bar(scores.f1)
    )
}

fn bar(share: f64) -> String {
    let width = 100.0 * share.clamp(0.0, 1.0);
    format!(
        "<td class=\"bar\" aria-hidden=\"true\"><i><b style=\"width:{width:.1}%\"></b></i></td>"
    )
}
