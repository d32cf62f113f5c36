//! The page as a whole.

use super::format::{count, duration, escape, interval, number, parameters, percent, plural};
use super::{Report, classes, confusion, curves, mistakes};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let title = escape(&report.title);
    let parts = [
        header(report),
        figures(report),
        curves::section(report),
        classes::section(report),
        confusion::section(report),
        mistakes::section(report),
        problems(report),
        recipe(report),
        environment(report),
    ];
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><style>\n{STYLE}</style></head>\n<body><main>\n{}\n\
         </main></body></html>\n",
        parts.join("\n")
    )
}

fn header(report: &Report) -> String {
    let network = &report.network;
    let learned = if network.trainable == network.parameters || network.trainable == 0 {
        String::new()
    } else {
        format!(", {} of them trained", parameters(network.trainable))
    };
    let splits: Vec<String> = report
        .data
        .splits
        .iter()
        .map(|(name, n)| format!("{} {}", count(*n), escape(name)))
        .collect();
    let images =
        if splits.is_empty() { String::new() } else { format!(": {} images", splits.join(" · ")) };
    format!(
        "<header><h1>{}</h1><p><strong>{}</strong>, {} parameters{learned}. This page describes the {}.</p>\
         <p><strong>{}</strong>, {}{images}.</p></header>",
        escape(&report.title),
        escape(&network.name),
        parameters(network.parameters),
        escape(&network.weights),
        escape(&report.data.name),
        plural(report.data.classes.len() as u64, "class", "classes"),
    )
}

fn figures(report: &Report) -> String {
    let (summary, split) = (&report.evaluation.summary, escape(&report.evaluation.split));
    let range = interval(summary.correct, summary.count).map_or(String::new(), |(low, high)| {
        format!("<br>95\u{a0}% interval {:.1}–{:.1}", 100.0 * low, 100.0 * high)
    });
    let right =
        format!("{} of {} {split} images{range}", count(summary.correct), count(summary.count));
    let mut cards = vec![card("hero", "Accuracy", &percent(summary.top1), &right)];
    if summary.classes.len() > 5 {
        cards.push(card(
            "",
            "Top-5 accuracy",
            &percent(summary.top5),
            "true class among the first five",
        ));
    }
    cards.push(card(
        "",
        "Macro F1",
        &percent(summary.macro_average.f1),
        "every class counts the same",
    ));
    cards.push(card("", "Log loss", &number(summary.log_loss, 3), "nats an image; 0 is perfect"));
    let seconds: f64 = report.epochs.iter().map(|epoch| epoch.seconds).sum();
    let images: f64 =
        report.epochs.iter().map(|epoch| epoch.images_per_second * epoch.seconds).sum();
    if seconds > 0.0 {
        let epochs = plural(report.epochs.len() as u64, "epoch", "epochs");
        let speed = format!("{epochs}, {:.0} images/s", images / seconds);
        cards.push(card("", "Training time", &duration(seconds), &speed));
    }
    format!("<section class=\"cards\" aria-label=\"Headline figures\">{}</section>", cards.concat())
}

fn card(class: &str, name: &str, value: &str, note: &str) -> String {
    format!(
        "<div class=\"card {class}\"><h2>{name}</h2><p class=\"value\">{value}</p><p class=\"note\">{note}</p></div>"
    )
}

fn problems(report: &Report) -> String {
    if report.problems.is_empty() {
        return String::new();
    }
    let row = |problem: &super::Unreadable| {
        format!(
            "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td></tr>",
            escape(&problem.name),
            escape(&problem.reason)
        )
    };
    let rows: String = report.problems.iter().map(row).collect();
    format!(
        "<section id=\"problems\"><h2>Unreadable files</h2><p class=\"note\">{} could not be read and \
         {} left out.</p><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Unreadable files\">\
         <table class=\"files\"><thead><tr><th scope=\"col\">file</th><th scope=\"col\" class=\"text\">what is \
         wrong</th></tr></thead><tbody>{rows}</tbody></table></div></section>",
        plural(report.problems.len() as u64, "file", "files"),
        if report.problems.len() == 1 { "was" } else { "were" },
    )
}

fn recipe(report: &Report) -> String {
    if report.recipe.is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"recipe\"><h2>Recipe</h2><p class=\"note\">With all defaults written out; it can be run \
         again.</p><pre tabindex=\"0\"><code>{}</code></pre></section>",
        escape(report.recipe.trim_end())
    )
}

fn environment(report: &Report) -> String {
    let environment = &report.environment;
    let own = [
        ("seed".to_string(), environment.seed.to_string()),
        ("threads".to_string(), environment.threads.to_string()),
        ("wall time".to_string(), duration(environment.seconds)),
    ];
    let pair = |(name, value): &(String, String)| {
        format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value))
    };
    let pairs: String = environment.versions.iter().chain(&own).map(pair).collect();
    format!("<footer><h2>Environment</h2><dl>{pairs}</dl></footer>")
}

#[cfg(test)]
mod tests {
    use ocelli_core::ClassNames;

    use super::super::{Unreadable, sample};

    #[test]
    fn a_page_has_every_part_and_needs_nothing_else() {
        let page = sample::report(10, 12).html();
        for part in ["curves", "classes", "confusion", "mistakes", "problems", "recipe"] {
            assert!(page.contains(&format!("id=\"{part}\"")), "{part}");
        }
        for foreign in ["http:", "https:", "<script", "<link", "@import", "url("] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(page.contains("prefers-color-scheme: dark"));
        assert_eq!(page.matches("<img ").count(), page.matches(" alt=\"").count());
    }

    #[test]
    fn names_cannot_break_out() {
        let mut report = sample::report(3, 2);
        let evil = "<script>alert('x')</script>\"><img src=x onerror=1>";
        report.data.classes =
            ClassNames::new(vec![evil.into(), "b & c".into(), "d".into()]).unwrap();
        report.title = evil.into();
        report.data.name = evil.into();
        report.data.splits[0].0 = evil.into();
        report.evaluation.split = evil.into();
        report.network.name = evil.into();
        report.network.weights = evil.into();
        report.recipe = format!("# {evil}");
        report.problems = vec![Unreadable { name: evil.into(), reason: evil.into() }];
        report.environment.versions = vec![(evil.into(), evil.into())];
        report.mistakes.iter_mut().for_each(|mistake| mistake.name = evil.into());
        let page = report.html();
        assert!(!page.contains("<script") && !page.contains("<img src=x"));
        assert!(page.contains("&lt;script&gt;") && page.contains("b &amp; c"));
        let large = (0..40).map(|n| format!("{evil}{n}")).collect();
        let mut report = sample::report(40, 1);
        report.data.classes = ClassNames::new(large).unwrap();
        assert!(!report.html().contains("<script"));
    }

    #[test]
    fn parts_without_content_are_left_out() {
        let mut report = sample::report(2, 1);
        report.epochs.clear();
        report.mistakes.clear();
        report.problems.clear();
        report.recipe.clear();
        let page = report.html();
        for part in ["curves", "mistakes", "problems", "recipe"] {
            assert!(!page.contains(&format!("id=\"{part}\"")), "{part}");
        }
        assert!(!page.contains("Top-5"));
    }

    #[test]
    fn a_report_survives_json() {
        let report = sample::report(4, 2);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<super::Report>(&text).unwrap(), report);
    }

    /// Writes the sample pages into the folder that `OCELLI_SAMPLE_PAGES` names, to be looked at.
    #[test]
    fn pages_of_many_sizes() {
        let folder = std::env::var_os("OCELLI_SAMPLE_PAGES");
        for (classes, epochs) in [(2, 1), (10, 12), (25, 60), (120, 3)] {
            let page = sample::report(classes, epochs).html();
            assert!(page.ends_with("</html>\n"));
            if let Some(folder) = &folder {
                let path = std::path::Path::new(folder).join(format!("report-{classes}.html"));
                std::fs::write(path, page).unwrap();
            }
        }
    }
}
