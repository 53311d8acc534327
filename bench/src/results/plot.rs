//! Plots, drawn by hand: how far each figure goes on the way to its target, and latencies.

use std::fmt::Write as _;

use crate::figure::{Figure, Report, spell};
use crate::load::Latency;

/// All in pixels.
const LABELS: f64 = 360.0;
const PLOT: f64 = 400.0;
const WIDTH: f64 = LABELS + PLOT + 130.0;
const ROW: f64 = 24.0;
const TOP: f64 = 46.0;

const REACHED: &str = "#2a9d5c";
const MISSED: &str = "#d1495b";
const INK: &str = "#30353b";
const FAINT: &str = "#c9ced4";

/// The axis of figures goes from a tenth of the target to ten times the target; that of latencies from 0.1 ms to 10 s.
const FIGURE_DECADES: (f64, f64) = (-1.0, 1.0);
const LATENCY_DECADES: (f64, f64) = (-1.0, 4.0);

/// Bars on a logarithmic axis: how far each figure goes, from its target in the middle.
pub(super) fn figures(reports: &[Report]) -> String {
    let rows: Vec<(&Report, &Figure)> = reports
        .iter()
        .flat_map(|report| report.figures.iter().map(move |figure| (report, figure)))
        .filter(|(_, figure)| figure.target.is_some())
        .collect();
    let mut plot = begin("How far each figure goes: 1 is its target, to the right is better", rows.len());
    let ticks = [
        (0.1, "0.1"),
        (0.2, "0.2"),
        (0.5, "0.5"),
        (1.0, "target"),
        (2.0, "2 x"),
        (5.0, "5 x"),
        (10.0, "10 x"),
    ];
    grid(&mut plot, &ticks, FIGURE_DECADES, rows.len());
    for (index, (report, figure)) in rows.iter().enumerate() {
        let Some(target) = figure.target else { continue };
        let (middle, end) = (x(1.0, FIGURE_DECADES), x(target.progress(figure.value), FIGURE_DECADES));
        let color = if target.is_reached(figure.value) { REACHED } else { MISSED };
        label(&mut plot, index, &format!("{}: {}", report.scenario, figure.name));
        let (left, width) = (middle.min(end), (middle - end).abs().max(2.0));
        let y = y(index) - 8.0;
        let _ = writeln!(
            plot,
            r#"<rect x="{left:.1}" y="{y:.1}" width="{width:.1}" height="16" fill="{color}" rx="2"/>"#
        );
        value(&mut plot, index, &spell(figure.value, figure.unit));
    }
    plot + "</svg>\n"
}

/// Lines from p50 to the longest, on a logarithmic axis.
pub(super) fn latencies(reports: &[Report]) -> String {
    let rows: Vec<&Latency> = reports.iter().flat_map(|report| &report.latencies).collect();
    let mut plot = begin("Latency: p50, p90, p99, p99.9 and the longest", rows.len());
    let ticks = [
        (0.1, "0.1 ms"),
        (1.0, "1 ms"),
        (10.0, "10 ms"),
        (100.0, "100 ms"),
        (1_000.0, "1 s"),
        (10_000.0, "10 s"),
    ];
    grid(&mut plot, &ticks, LATENCY_DECADES, rows.len());
    for (index, latency) in rows.iter().enumerate() {
        label(&mut plot, index, &latency.name);
        let y = y(index);
        let points = [latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p999_ms, latency.max_ms];
        let [first, .., last] = points.map(|ms| x(ms, LATENCY_DECADES));
        let _ = writeln!(
            plot,
            r#"<line x1="{first:.1}" y1="{y:.1}" x2="{last:.1}" y2="{y:.1}" stroke="{INK}" stroke-width="1.5"/>"#
        );
        for (radius, ms) in [6.0, 4.0, 5.0, 4.0, 3.0].into_iter().zip(points) {
            let _ = writeln!(
                plot,
                r#"<circle cx="{:.1}" cy="{y:.1}" r="{radius}" fill="{REACHED}" stroke="white"/>"#,
                x(ms, LATENCY_DECADES)
            );
        }
        value(&mut plot, index, &format!("p99 {}", spell(latency.p99_ms, "ms")));
    }
    plot + "</svg>\n"
}

fn begin(title: &str, rows: usize) -> String {
    let height = y(rows) + 8.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\" fill=\"{INK}\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"20\" font-size=\"14\">{title}</text>\n"
    )
}

fn grid(plot: &mut String, ticks: &[(f64, &str)], decades: (f64, f64), rows: usize) {
    let bottom = y(rows) - 12.0;
    for (at, name) in ticks {
        let x = x(*at, decades);
        let _ = writeln!(
            plot,
            r#"<line x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{bottom:.1}" stroke="{FAINT}"/><text x="{x:.1}" y="{:.1}" text-anchor="middle" font-size="10">{name}</text>"#,
            TOP - 5.0
        );
    }
}

fn label(plot: &mut String, row: usize, text: &str) {
    let (x, y) = (LABELS - 10.0, y(row) + 4.0);
    let _ = writeln!(plot, r#"<text x="{x}" y="{y:.1}" text-anchor="end">{}</text>"#, escape(text));
}

fn value(plot: &mut String, row: usize, text: &str) {
    let (x, y) = (LABELS + PLOT + 10.0, y(row) + 4.0);
    let _ = writeln!(plot, r#"<text x="{x}" y="{y:.1}">{}</text>"#, escape(text));
}

/// Where a value is on a logarithmic axis; what lies beyond is at its end.
fn x(value: f64, (from, to): (f64, f64)) -> f64 {
    let power = value.max(f64::MIN_POSITIVE).log10().clamp(from, to);
    LABELS + PLOT * (power - from) / (to - from)
}

/// The middle of a row.
#[expect(clippy::cast_precision_loss, reason = "a page has few rows")]
fn y(row: usize) -> f64 {
    TOP + ROW * (row as f64 + 0.6)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Target;

    #[test]
    fn a_plot_has_a_row_for_each_figure_that_has_a_target() {
        let mut report = Report { scenario: "hot".to_owned(), ..Report::default() };
        report.figure("holds <&> N", "", &[5.0], Target::AtLeast(10.0));
        report.told("holds", "/s", &[5_000.0]);
        let plot = figures(&[report]);
        assert_eq!(plot.matches("rx=").count(), 1);
        assert!(
            plot.contains("hot: holds &lt;&amp;> N") && plot.contains(MISSED) && plot.ends_with("</svg>\n")
        );
    }
}
