//! The most confident mistakes as pictures.

use super::format::{escape, percent};
use super::thumbnail::base64_text;
use super::{Mistake, Report};

/// A gallery; empty where there are no mistakes to show.
pub(super) fn section(report: &Report) -> String {
    if report.mistakes.is_empty() {
        return String::new();
    }
    let figures: String = report.mistakes.iter().map(|mistake| figure(report, mistake)).collect();
    format!(
        "<section id=\"mistakes\"><h2>Most confident mistakes</h2><p class=\"note\">Worth a look: some may be \
         labelled wrongly.</p><div class=\"gallery\">{figures}</div></section>"
    )
}

fn figure(report: &Report, mistake: &Mistake) -> String {
    let class = |index: usize| escape(report.data.classes.name(index));
    let (truth, predicted) = (class(mistake.truth), class(mistake.predicted));
    let name = escape(&mistake.name);
    let short = mistake.name.rsplit(['/', '\\']).next().unwrap_or_default();
    let picture = if mistake.thumbnail.is_empty() {
        "<div class=\"blank\">no picture</div>".to_string()
    } else {
        let data = base64_text::encode(&mistake.thumbnail);
        format!(
            "<img src=\"data:image/jpeg;base64,{data}\" alt=\"{truth}, taken for {predicted}\" loading=\"lazy\">"
        )
    };
    format!(
        "<figure>{picture}<figcaption><span class=\"truth\">{truth}</span> <span class=\"answer\">→ \
         {predicted}</span><span class=\"file\" title=\"{name}\"><b>{}</b> {}</span></figcaption></figure>",
        percent(f64::from(mistake.probability)),
        escape(short)
    )
}
