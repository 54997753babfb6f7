//! Every metric has its row in docs/operations.md, written from the code.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sealway::telemetry::{Metric, MetricKind};

const BEGIN: &str = "<!-- metrics: written by `make schema`, from the code -->\n";
const END: &str = "<!-- /metrics -->\n";

fn table() -> String {
    let mut table = "| Metric | Kind | Labels | Tells |\n|---|---|---|---|\n".to_owned();
    for metric in Metric::ALL {
        let kind = match metric.kind() {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram(_) => "histogram",
        };
        let labels: Vec<_> = metric.labels().iter().map(|label| format!("`{label}`")).collect();
        let help = metric.help().trim().replace("  ", " ");
        writeln!(table, "| `{}` | {kind} | {} | {help} |", metric.name(), labels.join(", "))
            .unwrap();
    }
    table
}

#[test]
fn the_list_of_metrics_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (kept, after) = rest.split_once(END).unwrap();
    let table = table();
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }

    assert!(kept == table, "docs/operations.md is old: run `make schema`");
}
