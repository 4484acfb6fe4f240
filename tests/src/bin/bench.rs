//! `just bench`: measures a fetcher at a real apiserver and prints a Markdown table; see `fetcher_tests::bench`.
//!
//! A long benchmark can be made in parts: with `--results` every measurement goes into a file, and the table is made of
//! all that are in it. Wants a release build of itself and of fetcher-baremetal, side by side.

#![expect(clippy::print_stdout, reason = "the table is its result")]

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use fetcher_tests::bench::Bench;
use fetcher_tests::bench::sample::{Case, Sample, Who, append, read};
use fetcher_tests::bench::table::table;
use fetcher_tests::plane::Plane;

/// What a fetcher costs at a real apiserver.
#[derive(Parser)]
struct Args {
    /// How many machines
    #[arg(long, default_value_t = 10_000)]
    machines: usize,
    /// How many pairs of limit and fetcher, on top of those in the file of results
    #[arg(long, default_value_t = 7)]
    pairs: usize,
    /// How many rounds of a daemon where nothing changed
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Which parts to run; all where none is named
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// A file that measurements are added to, and taken from for the table
    #[arg(long)]
    results: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// All machines are new
    Create,
    /// One in a hundred has changed
    Change,
    /// None has
    Unchanged,
    /// The list is parsed
    Parse,
    /// All machines are new, by kubectl
    Kubectl,
    /// None: the table of what is in the file
    Table,
}

/// What was measured so far, kept as soon as it is known.
struct Results {
    path: Option<PathBuf>,
    samples: Vec<Sample>,
}

impl Results {
    fn open(path: Option<PathBuf>) -> Result<Self> {
        let samples = path.as_deref().map_or_else(|| Ok(Vec::new()), read)?;
        Ok(Self { path, samples })
    }

    fn add(&mut self, new: Vec<Sample>) -> Result<()> {
        if let Some(path) = &self.path {
            append(path, &new)?;
        }
        self.samples.extend(new);
        Ok(())
    }

    /// How many pairs there are of a case.
    fn pairs(&self, case: Case, machines: usize) -> usize {
        let limit = (case, Who::Limit, machines);
        self.samples.iter().filter(|s| (s.case, s.who, s.machines) == limit).count()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let mut results = Results::open(args.results.clone())?;
    if args.only != [Part::Table] {
        let plane = Plane::own().await?;
        let bench = Bench { plane: plane.clone(), machines: args.machines };
        measure(&bench, &args, &mut results).await?;
    }
    print!("{}", table(&results.samples, args.machines));
    Ok(())
}

async fn measure(bench: &Bench, args: &Args, results: &mut Results) -> Result<()> {
    let wanted = |part| args.only.is_empty() || args.only.contains(&part);
    if wanted(Part::Parse) {
        results.add(bench.parse()?)?;
    }
    if wanted(Part::Change) || wanted(Part::Unchanged) {
        let mut fleet = bench.fleet().await?;
        if wanted(Part::Change) {
            let first = results.pairs(Case::Change, args.machines);
            results.add(bench.change(&mut fleet, first, args.pairs).await?)?;
        }
        if wanted(Part::Unchanged) {
            results.add(bench.unchanged(&mut fleet, args.rounds).await?)?;
        }
    }
    if wanted(Part::Create) {
        let in_flight = bench.best_for_creates().await?;
        for _ in 0..args.pairs {
            let next = results.pairs(Case::Create, args.machines);
            results.add(bench.create(next, in_flight).await?)?;
        }
    }
    if wanted(Part::Kubectl) {
        results.add(vec![bench.kubectl().await?])?;
    }
    Ok(())
}
