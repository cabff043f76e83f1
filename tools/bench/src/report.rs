//! The report of a run: lines while it runs, then text, JSON and a chart in files.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cpu;
use crate::stats::Spread;

/// A report that is being made.
#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<String>,
    figures: Map<String, Value>,
    bars: Vec<(String, Spread)>,
}

impl Report {
    /// Prints a line, and adds it to the report.
    #[allow(clippy::print_stdout, reason = "the report is what the program is for")]
    pub(crate) fn line(&mut self, line: String) {
        println!("{line}");
        self.lines.push(line);
    }

    /// Prints a ratio, on a line that a script can read, and its range on the next.
    pub(crate) fn ratio(&mut self, of: &str, ratio: Spread) {
        self.line(format!("ratio {of}: {:.2}", ratio.median));
        self.line(format!(
            "  median of the rounds' ratios; {:.2} to {:.2}",
            ratio.min, ratio.max
        ));
    }

    /// Adds figures to the JSON.
    pub(crate) fn figures(&mut self, name: &str, figures: &impl Serialize) {
        self.figures.insert(name.to_owned(), json!(figures));
    }

    /// Adds a bar to the chart.
    pub(crate) fn bar(&mut self, name: String, spread: Spread) {
        self.bars.push((name, spread));
    }

    /// Describes the machine, with its load before the measurements.
    pub(crate) fn machine(&mut self, postgres: &str) {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        let model = model.map_or("unknown", |model| {
            model.trim_start_matches([' ', '\t', ':'])
        });
        let load = cpu::load_average();
        self.line(format!(
            "{cores} cores, {model}; PostgreSQL {postgres}; load before {load:.2}"
        ));
        let machine = json!({ "cores": cores, "model": model, "postgres": postgres, "load": load });
        self.figures("machine", &machine);
    }

    /// Writes `name`.txt, .json and, if there is something to draw, .svg.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Result<()> {
        let path = |ending: &str| folder.join(format!("{name}.{ending}"));
        std::fs::write(path("txt"), self.lines.join("\n") + "\n")?;
        std::fs::write(path("json"), serde_json::to_string_pretty(&self.figures)?)?;
        if !self.bars.is_empty() {
            std::fs::write(path("svg"), self.chart(name))?;
        }
        Ok(())
    }

    /// Bars with the range of their rounds.
    fn chart(&self, title: &str) -> String {
        const LEFT: f64 = 180.0;
        const WIDTH: f64 = 560.0;
        const STEP: f64 = 44.0;
        let top = self
            .bars
            .iter()
            .map(|(_, spread)| spread.max)
            .fold(1.0, f64::max);
        let scale = |figure: f64| figure / top * WIDTH;
        let bars = u32::try_from(self.bars.len()).unwrap_or_default();
        let height = 60.0 + STEP * f64::from(bars);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"14\">\n\
             <rect width=\"860\" height=\"{height}\" fill=\"white\"/>\n\
             <text x=\"20\" y=\"28\" font-size=\"17\">{title}: per second, median of the rounds and their range</text>\n"
        );
        let mut y = 50.0;
        for (name, Spread { min, median, max }) in &self.bars {
            let colour = if name.starts_with("pgbench") {
                "#b0b7c3"
            } else {
                "#2f6fde"
            };
            let (width, low, high) = (scale(*median), LEFT + scale(*min), LEFT + scale(*max));
            // Writing to a String cannot fail.
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\n\
                 <rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"26\" fill=\"{colour}\"/>\n\
                 <line x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{mid}\" y2=\"{mid}\" stroke=\"black\"/>\n\
                 <text x=\"{:.1}\" y=\"{}\">{median:.0}</text>\n",
                LEFT - 10.0,
                y + 18.0,
                high + 8.0,
                y + 18.0,
                mid = y + 13.0,
            );
            y += STEP;
        }
        svg.push_str("</svg>\n");
        svg
    }
}
