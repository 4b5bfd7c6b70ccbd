//! Plots as SVG.

use std::fmt::Write as _;

use super::axis::Axis;
use super::page::escaped;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 42.0;
/// Width for the names of curves on the right.
const NAMES: f64 = 96.0;
/// Width of the right margin without names.
const MARGIN: f64 = 22.0;
/// Number of curve colors in the page's style.
pub const COLORS: usize = 7;
/// Maximum number of dots that are drawn per row.
const DOTS: usize = 200;

#[derive(Debug, Clone)]
pub struct Curve {
    /// Label at the end of the curve; empty for none.
    pub name: String,
    /// Points in ascending order of x.
    pub points: Vec<(f64, f64)>,
    /// Index of the color, below [`COLORS`].
    pub color: usize,
    /// Whether the curve is drawn faintly.
    pub is_faint: bool,
}

/// Title of a plot, and labels of its axes.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    pub title: &'a str,
    /// Quantity on the horizontal axis, with its unit.
    pub x: &'a str,
    /// Quantity on the vertical axis, with its unit.
    pub y: &'a str,
}

/// Curves in a common coordinate system; with `from_zero`, the vertical axis includes 0.
pub fn curves(words: Words<'_>, curves: &[Curve], from_zero: bool) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let x = Axis::around(points().map(|point| point.0), 5);
    let zero = from_zero.then_some(0.0);
    let y = Axis::around(points().map(|point| point.1).chain(zero), 4);
    let has_names = curves.iter().any(|curve| !curve.name.is_empty());
    let frame = Frame {
        x,
        y: Some(y),
        right: if has_names { NAMES } else { MARGIN },
        height: HEIGHT,
        left: LEFT,
    };
    let mut text = frame.open(words);
    for curve in curves {
        let mut path = String::new();
        for (index, &(x, y)) in curve
            .points
            .iter()
            .filter(|(_, y)| y.is_finite())
            .enumerate()
        {
            let command = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", frame.across(x), frame.up(y));
        }
        let faint = if curve.is_faint { " faint" } else { "" };
        let color = curve.color % COLORS;
        if curve.points.len() == 1 {
            path.push_str("h2");
        }
        let _ = writeln!(text, "<path class=\"l{faint} s{color}\" d=\"{path}\"/>");
    }
    let mut names: Vec<(f64, &Curve)> = curves
        .iter()
        .filter(|curve| !curve.name.is_empty())
        .filter_map(|curve| {
            let last = curve.points.iter().rfind(|(_, y)| y.is_finite())?;
            Some((frame.up(last.1), curve))
        })
        .collect();
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lowest = TOP - 8.0;
    let over = names.len() as f64 * 13.0 - (HEIGHT - BOTTOM - TOP);
    for (at, curve) in names {
        let at = (at + 4.0 - over.max(0.0)).max(lowest + 13.0);
        lowest = at;
        let _ = writeln!(
            text,
            "<text class=\"f{}\" style=\"fill:var(--c{0})\" x=\"{:.1}\" y=\"{at:.1}\">{}</text>",
            curve.color % COLORS,
            WIDTH - NAMES + 5.0,
            shortened(&curve.name, 14)
        );
    }
    text.push_str("</svg>");
    text
}

/// A histogram: bars between edges, with heights given by counts.
pub fn bars(words: Words<'_>, edges: &[f64], counts: &[f64], color: usize) -> String {
    let frame = Frame {
        x: Axis::around(edges.iter().copied(), 5),
        y: Some(Axis::around(counts.iter().copied().chain([0.0]), 4)),
        right: MARGIN,
        height: HEIGHT,
        left: LEFT,
    };
    let mut text = frame.open(words);
    for (edge, &count) in edges.windows(2).zip(counts) {
        let (from, to) = (frame.across(edge[0]), frame.across(edge[1]));
        let (low, high) = (frame.up(0.0), frame.up(count));
        if count > 0.0 {
            let _ = writeln!(
                text,
                "<rect class=\"f{}\" x=\"{from:.1}\" y=\"{high:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                color % COLORS,
                (to - from - 0.6).max(0.6),
                low - high
            );
        }
    }
    text.push_str("</svg>");
    text
}

/// A row of dots for each name, with a line at the median.
pub fn strips(words: Words<'_>, rows: &[(String, Vec<f64>)], range: Option<[f64; 2]>) -> String {
    const ROW: f64 = 30.0;
    let values = rows.iter().flat_map(|(_, values)| values.iter().copied());
    let longest = rows.iter().map(|(name, _)| name.chars().count()).max();
    let frame = Frame {
        x: Axis::around(values.chain(range.into_iter().flatten()), 4),
        y: None,
        right: MARGIN,
        height: TOP + BOTTOM + ROW * rows.len().max(1) as f64,
        left: (14.0 + 7.5 * longest.unwrap_or(0).min(16) as f64).max(30.0),
    };
    let mut text = frame.open(words);
    for (row, (name, values)) in rows.iter().enumerate() {
        let middle = TOP + ROW * (row as f64 + 0.5);
        let _ = writeln!(
            text,
            "<text text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            frame.left - 8.0,
            middle + 4.0,
            shortened(name, 16)
        );
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let stride = sorted.len().div_ceil(DOTS).max(1);
        for (index, &value) in sorted.iter().enumerate() {
            let is_end = index == 0 || index + 1 == sorted.len();
            if index % stride != 0 && !is_end {
                continue;
            }
            // Dots with similar values are moved apart.
            let aside = [0.0, 5.0, -5.0, 8.0, -8.0, 2.5, -2.5][index / stride % 7];
            let _ = write!(
                text,
                "<circle class=\"p f{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.6\"/>",
                row % (COLORS - 1),
                frame.across(value),
                middle + aside
            );
        }
        if let Some(median) = median(&sorted) {
            let at = frame.across(median);
            let _ = writeln!(
                text,
                "<path class=\"m\" d=\"M{at:.1} {:.1}V{:.1}\"/>",
                middle - 11.0,
                middle + 11.0
            );
        }
    }
    text.push_str("</svg>");
    text
}

/// The caption of [`strips`] with at most this many dots in a row.
pub fn strips_caption(cases: usize) -> String {
    let of = if cases > DOTS {
        format!("A dot for each of about {DOTS} of {cases} cases")
    } else {
        "A dot for each case".to_owned()
    };
    format!("{of}; the line is the median.")
}

/// A histogram of values in bins of equal width, with the bins' edges.
pub fn binned(values: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let bins = ((values.len() as f64).sqrt().ceil() as usize).clamp(4, 30);
    let axis = |(low, high): (f64, f64), value: &f64| (low.min(*value), high.max(*value));
    let (mut low, mut high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), axis);
    if !(low.is_finite() && high.is_finite()) {
        return (vec![0.0, 1.0], vec![0.0]);
    }
    if high - low <= 1e-9 * high.abs() {
        (low, high) = (low - 0.5, high + 0.5);
    }
    let width = (high - low) / bins as f64;
    let mut counts = vec![0.0; bins];
    for value in values {
        counts[(((value - low) / width) as usize).min(bins - 1)] += 1.0;
    }
    let edges = (0..=bins).map(|bin| low + bin as f64 * width).collect();
    (edges, counts)
}

/// Median of sorted values; the mean of the two middle ones where their number is even, `None` without values.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// A name of at most `most` characters, escaped.
fn shortened(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return escaped(name);
    }
    let start: String = name.chars().take(most - 1).collect();
    escaped(&format!("{start}…"))
}

/// The part that all plots share.
struct Frame {
    x: Axis,
    y: Option<Axis>,
    right: f64,
    height: f64,
    left: f64,
}

impl Frame {
    fn across(&self, value: f64) -> f64 {
        self.left + self.x.fraction(value) * (WIDTH - self.left - self.right)
    }

    fn up(&self, value: f64) -> f64 {
        let fraction = self.y.map_or(0.0, |axis| axis.fraction(value));
        self.height - BOTTOM - fraction * (self.height - BOTTOM - TOP)
    }

    fn open(&self, words: Words<'_>) -> String {
        let (title, x, y) = (escaped(words.title), escaped(words.x), escaped(words.y));
        let (height, ground) = (self.height, self.height - BOTTOM);
        let mut text = format!(
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n\
             <text class=\"t\" x=\"4\" y=\"13\">{}</text>\n",
            shortened(words.title, 56)
        );
        for (value, label) in self.x.ticks() {
            let at = self.across(value);
            let _ = writeln!(
                text,
                "<path class=\"g\" d=\"M{at:.1} {TOP}V{ground:.1}\"/><text class=\"u\" text-anchor=\"middle\" \
                 x=\"{at:.1}\" y=\"{:.1}\">{label}</text>",
                ground + 15.0
            );
        }
        for (value, label) in self.y.iter().flat_map(Axis::ticks) {
            let at = self.up(value);
            let _ = writeln!(
                text,
                "<path class=\"g\" d=\"M{:.1} {at:.1}H{:.1}\"/><text class=\"u\" text-anchor=\"end\" x=\"{:.1}\" \
                 y=\"{:.1}\">{label}</text>",
                self.left,
                WIDTH - self.right,
                self.left - 6.0,
                at + 4.0
            );
        }
        let _ = writeln!(
            text,
            "<path class=\"a\" d=\"M{:.1} {ground:.1}H{:.1}\"/><text class=\"u\" text-anchor=\"middle\" x=\"{:.1}\" \
             y=\"{:.1}\">{x}</text><text class=\"u\" x=\"4\" y=\"27\">{y}</text>",
            self.left,
            WIDTH - self.right,
            (self.left + WIDTH - self.right) / 2.0,
            height - 8.0
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_every_value() {
        let (edges, counts) = binned(&[1.0, 2.0, 3.0, 9.0]);
        assert_eq!((edges[0], edges[4]), (1.0, 9.0));
        assert_eq!(counts, [2.0, 1.0, 0.0, 1.0]);
        assert_eq!(binned(&[5.0; 3]).1.iter().sum::<f64>(), 3.0);
        assert_eq!(binned(&[]).1, [0.0]);
    }

    #[test]
    fn names_beside_curves_do_not_cover_each_other() {
        let curve = |color| Curve {
            name: format!("curve {color}"),
            points: vec![(0.0, 0.5), (1.0, 0.5)],
            color,
            is_faint: false,
        };
        let words = Words {
            title: "a<b",
            x: "x",
            y: "y",
        };
        let svg = curves(words, &[curve(0), curve(1)], true);
        let rows: Vec<f64> = svg
            .split(" y=\"")
            .skip(1)
            .filter(|part| part.contains(">curve "))
            .map(|part| part.split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(rows.len(), 2);
        assert!(rows[1] - rows[0] >= 12.0, "{rows:?}");
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b"));
    }
}
