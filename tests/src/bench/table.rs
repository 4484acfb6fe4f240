//! Measurements as a Markdown table. Pure.

use std::fmt::Write as _;

use super::sample::{Case, Sample, Who};

/// The rows, in order: what was done, and by whom.
const ROWS: &[(Case, Who, &str)] = &[
    (Case::Create, Who::Limit, "all new: the limit, POST + PUT"),
    (Case::Create, Who::Once, "all new: `--once` from a YAML file"),
    (Case::Create, Who::Kubectl, "all new: `kubectl apply --server-side`, then of the status"),
    (Case::Change, Who::Limit, "1 % changed: the limit, GET + PUT"),
    (Case::Change, Who::Daemon, "1 % changed: a daemon's round"),
    (Case::Change, Who::Once, "1 % changed: `--once`, which reads all first"),
    (Case::Unchanged, Who::Daemon, "nothing changed: a daemon's round"),
    (Case::Unchanged, Who::Once, "nothing changed: `--once`"),
    (Case::Parse, Who::Yaml, "parsing the list apart: YAML"),
    (Case::Parse, Who::Json, "parsing the list apart: JSON"),
];

/// The table of the measurements with this many machines.
#[must_use]
pub fn table(samples: &[Sample], machines: usize) -> String {
    let mut text = format!(
        "| {} machines | runs | wall | ratio to the limit | requests of one run | CPU | peak memory |\n\
         |---|---|---|---|---|---|---|\n",
        thousands(machines)
    );
    for &(case, who, name) in ROWS {
        let of = |who| {
            samples.iter().filter(move |s| (s.case, s.who, s.machines) == (case, who, machines))
        };
        let Some(one) = of(who).next() else { continue };
        let walls: Vec<f64> = of(who).map(|sample| sample.wall).collect();
        let limits: Vec<f64> = of(Who::Limit).map(|sample| sample.wall).collect();
        let cpus: Vec<f64> = of(who).filter_map(|sample| sample.cpu).collect();
        let name = match one.in_flight {
            Some(in_flight) => format!("{name}, {in_flight} in flight"),
            None => name.to_owned(),
        };
        // A String takes every write.
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} |",
            walls.len(),
            seconds(&walls),
            if who == Who::Limit { "1".to_owned() } else { ratio(&walls, &limits) },
            requests(one),
            if cpus.is_empty() { String::new() } else { seconds(&cpus) },
            of(who).filter_map(|s| s.peak).max().map_or_else(String::new, mebibytes),
        );
    }
    text
}

/// The median of the pairs' ratios and their spread; where there are no pairs, that of the medians.
fn ratio(walls: &[f64], limits: &[f64]) -> String {
    if limits.is_empty() {
        return String::new();
    }
    if walls.len() != limits.len() {
        return format!("{:.2}", median(walls) / median(limits));
    }
    let ratios: Vec<f64> = walls.iter().zip(limits).map(|(wall, limit)| wall / limit).collect();
    let (least, most) = ratios.iter().fold((f64::MAX, 0.0_f64), |(a, b), &r| (a.min(r), b.max(r)));
    format!("**{:.2}** ({least:.2} to {most:.2})", median(&ratios))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

fn seconds(values: &[f64]) -> String {
    let median = median(values);
    if median < 1.0 { format!("{:.0} ms", median * 1000.0) } else { format!("{median:.1} s") }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

fn requests(sample: &Sample) -> String {
    let requests = sample.requests.iter();
    let each = requests.map(|(request, count)| format!("{} {request}", thousands(*count)));
    let all = each.collect::<Vec<_>>().join(", ");
    if all.is_empty() && matches!(sample.case, Case::Unchanged) { "none".to_owned() } else { all }
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(case: Case, who: Who, wall: f64) -> Sample {
        Sample {
            in_flight: (who == Who::Limit).then_some(32),
            ..Sample::new(case, who, 10_000, wall)
        }
    }

    #[test]
    fn a_row_tells_the_median_of_the_pairs_and_their_spread() {
        let mut samples = Vec::new();
        for (limit, once) in [(10.0, 11.0), (12.0, 12.0), (10.0, 13.0)] {
            samples.push(sample(Case::Create, Who::Limit, limit));
            samples.push(sample(Case::Create, Who::Once, once));
        }
        samples.push(sample(Case::Create, Who::Kubectl, 50.0));
        samples.push(Sample {
            cpu: Some(0.0421),
            peak: Some(30 << 20),
            ..sample(Case::Unchanged, Who::Daemon, 0.02)
        });
        samples.push(Sample { machines: 60, ..sample(Case::Create, Who::Once, 1.0) });
        assert_eq!(
            table(&samples, 10_000),
            "| 10,000 machines | runs | wall | ratio to the limit | requests of one run | CPU | peak memory |\n\
             |---|---|---|---|---|---|---|\n\
             | all new: the limit, POST + PUT, 32 in flight | 3 | 10.0 s | 1 |  |  |  |\n\
             | all new: `--once` from a YAML file | 3 | 12.0 s | **1.10** (1.00 to 1.30) |  |  |  |\n\
             | all new: `kubectl apply --server-side`, then of the status | 1 | 50.0 s | 5.00 |  |  |  |\n\
             | nothing changed: a daemon's round | 1 | 20 ms |  | none | 42 ms | 30 MiB |\n"
        );
    }
}
