//! The learning curves of the page, and their numbers.

use super::format::{duration, number, percent};
use super::svg::{Chart, Series, Unit};
use super::{EpochRecord, Report};

/// Loss and accuracy by epoch; empty where nothing was trained.
pub(super) fn section(report: &Report) -> String {
    let epochs = &report.epochs;
    if epochs.is_empty() {
        return String::new();
    }
    let loss =
        curve("Loss", Unit::Number, epochs, |epoch| (Some(epoch.train_loss), epoch.val_loss));
    let top1 =
        curve("Accuracy", Unit::Percent, epochs, |epoch| (Some(epoch.train_top1), epoch.val_top1));
    format!(
        "<section id=\"curves\"><h2>Learning curves</h2><div class=\"charts\">{loss}{top1}</div>\
         <p class=\"note\">Training figures include augmentation and label smoothing where the recipe has \
         them, so they may look worse than those of validation.</p>{}</section>",
        history(epochs)
    )
}

/// A figure of an epoch: on the training and on the validation images.
type Both = (Option<f64>, Option<f64>);

/// Training and validation in one drawing.
fn curve(
    title: &str,
    unit: Unit,
    epochs: &[EpochRecord],
    values: fn(&EpochRecord) -> Both,
) -> String {
    let points = |pick: fn(Both) -> Option<f64>| -> Vec<(f64, f64)> {
        let point = |epoch: &EpochRecord| Some((epoch.epoch as f64, pick(values(epoch))?));
        epochs.iter().filter_map(point).collect()
    };
    let mut series = vec![
        Series { name: "train", points: points(|(train, _)| train) },
        Series { name: "validation", points: points(|(_, validation)| validation) },
    ];
    series.retain(|series| !series.points.is_empty());
    let key = |series: &Series<'_>| format!("<span class=\"key {0}\">{0}</span>", series.name);
    let legend: String = series.iter().map(key).collect();
    let mark = best(epochs).map(|epoch| (epoch as f64, "best"));
    let drawing = Chart { title, unit, series, mark }.svg();
    format!(
        "<div class=\"chart\"><h3>{title}<span class=\"legend\">{legend}</span></h3>{drawing}</div>"
    )
}

/// The epoch with the highest accuracy on the validation images; of equals the one with the lowest loss.
fn best(epochs: &[EpochRecord]) -> Option<u64> {
    let figures = |epoch: &EpochRecord| Some((epoch.val_top1?, -epoch.val_loss?, epoch.epoch));
    let better =
        |a: (f64, f64, u64), b: (f64, f64, u64)| if (b.0, b.1) > (a.0, a.1) { b } else { a };
    epochs.iter().filter_map(figures).reduce(better).map(|(_, _, epoch)| epoch)
}

/// The curves' numbers.
fn history(epochs: &[EpochRecord]) -> String {
    let optional =
        |value: Option<f64>, write: fn(f64) -> String| value.map_or("–".to_string(), write);
    let row = |epoch: &EpochRecord| {
        format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.2e}</td>\
             <td>{:.0}</td><td>{}</td><td>{}</td></tr>",
            epoch.epoch,
            number(epoch.train_loss, 4),
            optional(epoch.val_loss, |value| number(value, 4)),
            percent(epoch.train_top1),
            optional(epoch.val_top1, percent),
            epoch.rate,
            epoch.images_per_second,
            percent(epoch.waiting),
            duration(epoch.seconds)
        )
    };
    let heads = [
        "epoch",
        "train loss",
        "val. loss",
        "train acc.",
        "val. acc.",
        "rate",
        "images/s",
        "waiting",
        "time",
    ];
    let heads: String = heads.iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    format!(
        "<details><summary>Epoch by epoch</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Figures of each epoch\"><table><thead><tr>{heads}</tr></thead><tbody>{}</tbody></table>\
         </div></details>",
        epochs.iter().map(row).collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_best_epoch_is_the_trainers() {
        let mut epochs = sample::report(3, 4).epochs;
        let figures = [(0.5, 1.0), (0.9, 0.4), (0.9, 0.3), (0.9, 0.3)];
        for (epoch, (top1, loss)) in epochs.iter_mut().zip(figures) {
            (epoch.val_top1, epoch.val_loss) = (Some(top1), Some(loss));
        }
        assert_eq!(best(&epochs), Some(3));
        epochs.iter_mut().for_each(|epoch| (epoch.val_top1, epoch.val_loss) = (None, None));
        assert_eq!(best(&epochs), None);
        assert!(
            !curve("Loss", Unit::Number, &epochs, |epoch| (Some(epoch.rate), epoch.val_loss))
                .contains("validation")
        );
    }
}
