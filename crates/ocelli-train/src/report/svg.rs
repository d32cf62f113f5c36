//! Curves over epochs, as SVG that inherits its colours from the page.

use super::format::{escape, number, percent};

/// Size of the drawing in its own units; the page scales it.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 80.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 38.0;
/// Least distance between two labels at the ends of lines.
const APART: f64 = 15.0;

/// How values are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Plain numbers, the axis from 0.
    Number,
    /// Shares in 0..1, the axis up to 1.
    Percent,
}

/// One line.
pub(super) struct Series<'a> {
    /// What it is called, and its class in the style sheet.
    pub name: &'a str,
    /// Epoch and value.
    pub points: Vec<(f64, f64)>,
}

/// A diagram of a few lines.
pub(super) struct Chart<'a> {
    /// What it shows.
    pub title: &'a str,
    /// How values are written.
    pub unit: Unit,
    /// The lines, the most important last.
    pub series: Vec<Series<'a>>,
    /// The epoch to mark, with a word for it.
    pub mark: Option<(f64, &'a str)>,
}

impl Chart<'_> {
    /// The diagram; empty where there is no finite value.
    pub fn svg(&self) -> String {
        let finite = |&(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
        let points: Vec<(f64, f64)> =
            self.series.iter().flat_map(|series| &series.points).copied().filter(finite).collect();
        if points.is_empty() {
            return String::new();
        }
        let extreme = |values: &mut dyn Iterator<Item = f64>, pick: fn(f64, f64) -> f64| {
            values.reduce(pick).unwrap_or(0.0)
        };
        let first = extreme(&mut points.iter().map(|p| p.0), f64::min);
        let last = extreme(&mut points.iter().map(|p| p.0), f64::max);
        let low = extreme(&mut points.iter().map(|p| p.1), f64::min);
        let high = extreme(&mut points.iter().map(|p| p.1), f64::max);
        let axis = match self.unit {
            Unit::Number => ticks(0.0, high.max(1e-6), 5),
            Unit::Percent => ticks(low.min(0.9), 1.0, 5),
        };
        let (bottom, top) = (axis[0], axis[axis.len() - 1]);
        let plot = Plot { first, last, bottom, top };
        let mut out = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            escape(&self.summary())
        );
        for &value in &axis {
            let y = plot.y(value);
            out += &format!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0,
                self.tick(value, &axis)
            );
        }
        for epoch in epochs(first, last) {
            out += &format!(
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{epoch:.0}</text>",
                plot.x(epoch),
                HEIGHT - BOTTOM + 18.0
            );
        }
        out += &format!(
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">epoch</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 4.0
        );
        if let Some((epoch, word)) = self.mark {
            out += &plot.mark(epoch, word);
        }
        for series in &self.series {
            out += &self.line(series, &plot);
        }
        out += &self.labels(&plot);
        out + "</svg>"
    }

    fn line(&self, series: &Series<'_>, plot: &Plot) -> String {
        let finite: Vec<_> =
            series.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        let path: Vec<String> =
            finite.iter().map(|(x, y)| format!("{:.1},{:.1}", plot.x(*x), plot.y(*y))).collect();
        let mut out =
            format!("<g class=\"{}\"><polyline points=\"{}\"/>", series.name, path.join(" "));
        // Points of a long run would hide its line, but their tooltips stay useful.
        let radius = if finite.len() > 40 { 1.0 } else { 2.8 };
        for (x, y) in finite {
            out += &format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\"><title>{}, epoch {x:.0}: {}</title></circle>",
                plot.x(*x),
                plot.y(*y),
                series.name,
                self.value(*y)
            );
        }
        out + "</g>"
    }

    /// Each line's name and last value at its end, pushed apart where they would overlap.
    fn labels(&self, plot: &Plot) -> String {
        let last =
            |series: &Series<'_>| series.points.iter().rev().find(|p| p.1.is_finite()).copied();
        let mut ends: Vec<(f64, &str, f64)> = self
            .series
            .iter()
            .filter_map(|series| last(series).map(|(_, y)| (plot.y(y), series.name, y)))
            .collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        for index in 1..ends.len() {
            ends[index].0 = ends[index].0.max(ends[index - 1].0 + APART * 1.9);
        }
        let over = ends.last().map_or(0.0, |end| (end.0 - (HEIGHT - BOTTOM - APART)).max(0.0));
        let label = |(y, name, value): &(f64, &str, f64)| {
            let (x, y) = (WIDTH - RIGHT + 8.0, y - over);
            let value = self.value(*value);
            format!(
                "<text class=\"end {name}\" x=\"{x:.1}\" y=\"{y:.1}\">{name}\
                 <tspan x=\"{x:.1}\" dy=\"{APART}\">{value}</tspan></text>"
            )
        };
        ends.iter().map(label).collect()
    }

    fn value(&self, value: f64) -> String {
        match self.unit {
            Unit::Number => number(value, 3),
            Unit::Percent => percent(value),
        }
    }

    fn tick(&self, value: f64, axis: &[f64]) -> String {
        let step = axis[1] - axis[0];
        match self.unit {
            Unit::Percent if step >= 0.0099 => format!("{:.0}\u{a0}%", 100.0 * value),
            Unit::Percent => percent(value),
            Unit::Number => format!("{value:.*}", (-step.log10()).ceil().clamp(0.0, 6.0) as usize),
        }
    }

    /// The diagram in words.
    fn summary(&self) -> String {
        let ends: Vec<String> = self
            .series
            .iter()
            .filter_map(|series| {
                let (from, to) = (series.points.first()?, series.points.last()?);
                Some(format!("{} from {} to {}", series.name, self.value(from.1), self.value(to.1)))
            })
            .collect();
        format!("{} by epoch: {}", self.title, ends.join(", "))
    }
}

/// From values to places.
struct Plot {
    first: f64,
    last: f64,
    bottom: f64,
    top: f64,
}

impl Plot {
    fn x(&self, epoch: f64) -> f64 {
        let room = WIDTH - LEFT - RIGHT;
        if self.last > self.first {
            LEFT + room * (epoch - self.first) / (self.last - self.first)
        } else {
            LEFT + room / 2.0
        }
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (value - self.bottom) / (self.top - self.bottom)
    }

    fn mark(&self, epoch: f64, word: &str) -> String {
        let x = self.x(epoch);
        // On the side where the word has room.
        let (dx, anchor) = if x > WIDTH / 2.0 { (-5.0, "end") } else { (5.0, "start") };
        format!(
            "<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            HEIGHT - BOTTOM,
            x + dx,
            HEIGHT - BOTTOM - 7.0,
            escape(word)
        )
    }
}

/// Round values around `low..high`, about `wanted` of them; at least two.
fn ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let rough = ((high - low) / wanted as f64).max(1e-9);
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|&step| step >= rough * 0.999);
    let step = step.unwrap_or(power);
    let from = (low / step + 1e-9).floor() as i64;
    let to = ((high / step - 1e-9).ceil() as i64).max(from + 1);
    (from..=to).map(|n| n as f64 * step).collect()
}

/// Whole epochs to write below the axis, at most a dozen.
fn epochs(first: f64, last: f64) -> Vec<f64> {
    let count = (last - first + 1.0).max(1.0);
    let every = [1.0, 2.0, 5.0, 10.0, 20.0, 25.0, 50.0, 100.0, 200.0, 500.0, 1000.0]
        .into_iter()
        .find(|every| count / every <= 12.0)
        .unwrap_or(count);
    let mut epoch = (first / every).ceil() * every;
    let mut out = Vec::new();
    while epoch <= last && out.len() < 13 {
        out.push(epoch);
        epoch += every;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose() {
        assert_eq!(ticks(0.0, 2.3, 5), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
        assert_eq!(ticks(0.0, 1.0, 5).len(), 6);
        assert_eq!(ticks(0.61, 1.0, 5).first().map(|t| (t * 10.0).round()), Some(6.0));
        assert!(ticks(1.0, 1.0, 5).len() >= 2);
        assert_eq!(epochs(1.0, 3.0), [1.0, 2.0, 3.0]);
        assert_eq!(epochs(1.0, 90.0), [10., 20., 30., 40., 50., 60., 70., 80., 90.]);
    }

    #[test]
    fn odd_histories_still_make_a_drawing() {
        let chart = |points: &[(f64, f64)], unit| {
            let series = vec![Series { name: "train", points: points.to_vec() }];
            Chart { title: "Loss", unit, series, mark: Some((1.0, "best")) }.svg()
        };
        for unit in [Unit::Number, Unit::Percent] {
            assert_eq!(chart(&[], unit), "");
            assert_eq!(chart(&[(1.0, f64::NAN)], unit), "");
            for points in
                [&[(1.0, 0.0)][..], &[(1.0, 1.0), (2.0, 1.0)], &[(1.0, f64::INFINITY), (2.0, 1e9)]]
            {
                let svg = chart(points, unit);
                assert!(
                    svg.ends_with("</svg>") && !svg.contains("NaN") && !svg.contains("inf"),
                    "{svg}"
                );
            }
        }
    }
}
