//! Bars as SVG: plain text, readable on light and on dark ground, nothing loaded from elsewhere.

use std::fmt::Write as _;

use super::report::{Bar, Chart, Whose};

const WIDTH: f64 = 760.0;
/// Where bars begin; their labels end before it.
const LEFT: f64 = 250.0;
/// What is kept for the longest bar's number.
const RIGHT: f64 = 110.0;
const TOP: f64 = 44.0;
const STEP: f64 = 26.0;
const THICK: f64 = 16.0;

/// A viewer that prefers dark is asked by the media query; the document's own ground shows through.
const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:14px}\
.ours{fill:#0969da}.peers{fill:#9198a1}.limit{stroke:#cf222e;stroke-width:1.5;stroke-dasharray:4 3}.limit-text{fill:#cf222e;font-size:11px}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.ours{fill:#4493f8}.peers{fill:#6e7681}.limit{stroke:#f85149}.limit-text{fill:#f85149}}";

/// The chart as a file.
pub(crate) fn svg(chart: &Chart) -> String {
    let height = TOP + STEP * chart.bars.len() as f64 + if chart.limit.is_some() { 20.0 } else { 8.0 };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<text class=\"title\" x=\"8\" y=\"22\">{title}</text>\n",
        title = escaped(&chart.title),
    );
    let scale = Scale::of(chart);
    for (index, Bar { label, value, shown, whose }) in chart.bars.iter().enumerate() {
        let y = TOP + STEP * index as f64;
        let (length, base) = (scale.length(*value), y + THICK - 3.5);
        let class = match whose {
            Whose::Ours => "ours",
            Whose::Peers => "peers",
        };
        let _ = write!(
            out,
            "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{}</text>\n\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{THICK}\" rx=\"2\"/>\n\
             <text x=\"{:.1}\" y=\"{base}\">{}</text>\n",
            LEFT - 8.0,
            escaped(label),
            LEFT + length + 6.0,
            escaped(shown),
        );
    }
    if let Some(limit) = chart.limit {
        let (x, end) = (LEFT + scale.length(limit), TOP + STEP * chart.bars.len() as f64);
        let _ = write!(
            out,
            "<line class=\"limit\" x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{end}\"/>\n\
             <text class=\"limit-text\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">budget</text>\n",
            TOP - 6.0,
            end + 12.0,
        );
    }
    out.push_str("</svg>\n");
    out
}

/// From values to lengths.
struct Scale {
    most: f64,
    /// What has no length, where lengths are logarithms.
    least: Option<f64>,
}

impl Scale {
    fn of(chart: &Chart) -> Self {
        let values =
            || chart.bars.iter().map(|bar| bar.value).chain(chart.limit).filter(|value| *value > 0.0);
        let most = values().fold(f64::MIN_POSITIVE, f64::max);
        let least = values().fold(most, f64::min);
        Self { most, least: chart.logarithmic.then_some(least / 2.0) }
    }

    fn length(&self, value: f64) -> f64 {
        let share = match self.least {
            None => value / self.most,
            Some(least) => (value / least).ln() / (self.most / least).ln(),
        };
        // Nothing is drawn of what is not positive.
        (WIDTH - LEFT - RIGHT) * if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, value: f64) -> Bar {
        Bar { label: label.to_owned(), value, shown: format!("{value}"), whose: Whose::Ours }
    }

    fn chart(logarithmic: bool) -> Chart {
        let bars = vec![bar("a & <b>", 100.0), bar("c", 10.0), bar("none", 0.0)];
        Chart { name: "n".to_owned(), title: "T".to_owned(), bars, limit: Some(50.0), logarithmic }
    }

    #[test]
    fn the_longest_bar_is_as_wide_as_there_is_room() {
        let text = svg(&chart(false));
        for expected in
            ["width=\"400.0\"", "width=\"40.0\"", "width=\"0.0\"", "a &amp; &lt;b&gt;", "x1=\"450.0\""]
        {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[test]
    fn logarithms_keep_the_smallest_to_be_seen() {
        let scale = Scale::of(&chart(true));
        assert!((scale.length(100.0) - 400.0).abs() < 1e-9);
        assert!(scale.length(10.0) > 80.0);
        assert!(scale.length(0.0) < 1e-9);
    }

    #[test]
    fn no_bars_are_no_division_by_zero() {
        let empty = Chart { bars: Vec::new(), limit: None, ..chart(false) };
        assert!(svg(&empty).ends_with("</svg>\n"));
    }
}
