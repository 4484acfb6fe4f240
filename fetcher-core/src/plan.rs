//! From a whole listing and an index to what there is to do. Pure; a plan never fails.
//!
//! It names what is absent and leaves it open whether that is believed: see `confirm` and `brake`.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::thread;

use crate::decide::{Owner, Verb, Verdict, Why, decide};
use crate::desired::{self, Seen, Style};
use crate::digest::Digest;
use crate::machine::{Life, Machine, Source, Text};
use crate::observed::{Index, Lens};
use crate::provider::{Expect, FetchError};

#[cfg(test)]
mod tests;

/// The least number of machines for which a thread is worth its start.
const SHARE: usize = 2_000;

/// What there is to do for one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Hosts to create, update or take back, in the order of names.
    pub changes: Vec<Planned>,
    /// Present Hosts for which no machine is wanted, in the order of names.
    pub absent: Vec<Absent>,
    /// Hosts that are as they must be.
    pub unchanged: usize,
    /// Machines that are selected and alive.
    pub selected: usize,
    /// Hosts that are not ours to touch.
    pub left: Vec<(Text, Why)>,
    /// What the bounds of a Host left no room for.
    pub cut: Cut,
}

/// Values of wanted machines that are longer, or more, than a Host holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// How many values were cut or left out.
    pub values: usize,
    /// Of how many Hosts.
    pub hosts: usize,
    /// The first of these, in the order of names.
    pub first: Option<Text>,
}

/// A change for a machine that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What to do.
    pub verb: Verb,
    /// The Host's name.
    pub host: Text,
    /// Where in the listing its machine is.
    pub machine: usize,
}

/// A present Host for which no machine is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// The Host's name.
    pub host: Text,
    /// The id of its machine.
    pub machine_id: Text,
    /// Where in the listing its machine is: there, but not selected or not alive.
    pub listed: Option<usize>,
}

/// How this instance makes Hosts out of machines and reads them back.
#[derive(Clone, Copy, Debug)]
pub struct Eyes<'a> {
    /// Labels.
    pub style: &'a Style,
    /// Selection, and what the store keeps.
    pub lens: &'a Lens,
}

/// What a listing asks of the store for one of its machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The name of its Host.
    pub host: Text,
    /// The digest that the Host must have; none where no such Host is wanted: not selected, or ended for good.
    pub digest: Option<Digest>,
    /// How many of its values are cut to what a Host holds.
    pub cut: usize,
}

/// What `source` asks of the store, machine by machine in the order of the listing. Nothing is written before all of it is
/// known, so that the processors share the work.
#[must_use]
pub fn asked(source: &Source, machines: &[Machine], eyes: Eyes<'_>) -> Vec<Asked> {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = machines.len().div_ceil(processors).max(SHARE);
    let asked_of = |share: &[Machine]| -> Vec<Asked> {
        share.iter().map(|machine| asked_for(source, machine, eyes)).collect()
    };
    if machines.len() <= share {
        return asked_of(machines);
    }
    thread::scope(|scope| {
        let shares: Vec<_> =
            machines.chunks(share).map(|share| scope.spawn(move || asked_of(share))).collect();
        shares
            .into_iter()
            .flat_map(|share| share.join().unwrap_or_else(|p| resume_unwind(p)))
            .collect()
    })
}

fn asked_for(source: &Source, machine: &Machine, eyes: Eyes<'_>) -> Asked {
    let is_wanted = machine.life == Life::Alive && eyes.lens.selector.matches(machine);
    let wanted = || desired::wanted_and_cut(source, machine, Seen::Listed, eyes.style, eyes.lens);
    let (digest, cut) = is_wanted.then(wanted).unzip();
    Asked { host: desired::name(source, machine), digest, cut: cut.unwrap_or(0) }
}

/// What there is to do, given all `machines` of a source, each id once, and what is `asked` for them.
#[must_use]
pub fn plan(machines: &[Machine], asked: &[Asked], observed: &Index) -> Plan {
    let mut plan = Plan::default();
    let mut wanted = 0;
    for (at, (machine, Asked { host, digest, cut })) in machines.iter().zip(asked).enumerate() {
        let Some(digest) = *digest else { continue };
        plan.selected += 1;
        plan.cut.add(host, *cut);
        let entry = observed.hosts.get(host);
        wanted += usize::from(entry.is_some());
        let owner = |id: &Text| if *id == machine.id { Owner::Ours } else { Owner::Foreign };
        match decide(Some(digest), entry.map(|entry| (entry, owner(&entry.machine_id)))) {
            Verdict::InSync => plan.unchanged += 1,
            Verdict::Do(verb) => {
                plan.changes.push(Planned { verb, host: host.clone(), machine: at })
            }
            Verdict::Leave(why) => plan.left.push((host.clone(), why)),
        }
    }
    if wanted < observed.hosts.len() {
        absent(&mut plan, observed, asked);
    }
    plan.changes.sort_by(|a, b| a.host.cmp(&b.host));
    plan.absent.sort_by(|a, b| a.host.cmp(&b.host));
    plan.left.sort_by(|a, b| a.0.cmp(&b.0));
    plan
}

impl Cut {
    fn add(&mut self, host: &Text, values: usize) {
        if values == 0 {
            return;
        }
        self.values += values;
        self.hosts += 1;
        if self.first.as_ref().is_none_or(|first| host < first) {
            self.first = Some(host.clone());
        }
    }
}

/// The present Hosts that no wanted machine accounts for.
fn absent(plan: &mut Plan, observed: &Index, asked: &[Asked]) {
    let listed: HashMap<&Text, usize> =
        asked.iter().enumerate().map(|(at, asked)| (&asked.host, at)).collect();
    for (name, entry) in &observed.hosts {
        let listed = listed.get(name).copied();
        if listed.is_some_and(|at| asked[at].digest.is_some()) {
            continue;
        }
        match decide(None, Some((entry, Owner::Ours))) {
            Verdict::Do(_) => plan.absent.push(Absent {
                host: name.clone(),
                machine_id: entry.machine_id.clone(),
                listed,
            }),
            Verdict::Leave(why) => plan.left.push((name.clone(), why)),
            Verdict::InSync => {}
        }
    }
}

/// The listing with each id once, or why it cannot be believed.
///
/// # Errors
/// The same id twice with different content, or a listing without what was expected of it.
pub fn whole(
    machines: &std::sync::Arc<Vec<Machine>>,
    expect: &Expect,
) -> Result<std::sync::Arc<Vec<Machine>>, FetchError> {
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(machines.len());
    let mut twice = Vec::new();
    for (at, machine) in machines.iter().enumerate() {
        match first.get(&*machine.id) {
            None => drop(first.insert(&machine.id, at)),
            Some(&before) if machines[before] == *machine => twice.push(at),
            Some(_) => {
                let message = format!("id {:?} is listed twice with different content", machine.id);
                return Err(FetchError::inconsistent(message));
            }
        }
    }
    if let Some(id) = expect.ids.iter().find(|id| !first.contains_key(id.as_str())) {
        return Err(FetchError::inconsistent(format!(
            "the listing of {} machines does not hold {id:?}, which `expect.ids` says is always there; \
             were rights narrowed? else mend the configuration",
            first.len()
        )));
    }
    if first.len() < expect.min {
        return Err(FetchError::inconsistent(format!(
            "the listing holds {} machines, fewer than the {} that `expect.min` asks for; \
             were rights narrowed? else mend the configuration",
            first.len(),
            expect.min
        )));
    }
    if twice.is_empty() {
        return Ok(std::sync::Arc::clone(machines));
    }
    let mut once = Vec::clone(machines);
    for at in twice.into_iter().rev() {
        once.swap_remove(at);
    }
    Ok(std::sync::Arc::new(once))
}
