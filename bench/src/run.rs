//! What a run has in common: how long, how often, who is asked in which order, and what it finds.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use crate::load::{self, Load, Seen};
use crate::machine::Others;
use crate::peer::Peer;
use crate::prompt::Prompt;
use crate::settings::Settings;
use crate::stats::Spread;

/// The share of a core that others may have before a cell is measured again.
pub(crate) const CALM: f64 = 0.15;

/// How a run measures.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) rounds: usize,
    /// Of one cell: one peer under one load in one round.
    pub(crate) time: Duration,
    /// What gateways compiled, for all of the run.
    pub(crate) cache: PathBuf,
    /// All answers that were counted, and those of them that something else decided than what should have.
    pub(crate) answers: Cell<usize>,
    pub(crate) undecided: Cell<usize>,
    /// The share of a core that others had in the part of the report where it was most.
    pub(crate) others: Cell<f64>,
}

/// A part of the report, and its figures for the first table.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) text: String,
    pub(crate) figures: Vec<(&'static str, f64)>,
}

impl Run {
    /// A gateway before `model`.
    pub(crate) fn gateway(&self, model: &Peer, settings: &Settings) -> Result<Peer, String> {
        Peer::gateway(model, settings, &self.cache)
    }

    pub(crate) fn load(&self, prompt: Prompt, connections: usize) -> Load {
        Load { prompt, connections, rate: None, time: self.time }
    }

    /// Puts the load on `peer`; once more where others had too much of the machine meanwhile, and then the calmer of both.
    pub(crate) fn put(&self, peer: &Peer, load: Load) -> Result<Seen, String> {
        let (mut seen, others) = observed(peer, load)?;
        if others > CALM {
            let (again, now) = observed(peer, load)?;
            if now < others {
                seen = again;
            }
        }
        self.answers.set(self.answers.get() + seen.answers);
        self.undecided.set(self.undecided.get() + seen.undecided);
        Ok(seen)
    }

    /// Each peer under the same load, in turn, round after round; what was seen of each.
    pub(crate) fn in_turn<const N: usize>(&self, peers: [&Peer; N], load: Load) -> Result<[Vec<Seen>; N], String> {
        let mut seen = [const { Vec::new() }; N];
        for _ in 0..self.rounds {
            for (peer, seen) in peers.iter().zip(&mut seen) {
                seen.push(self.put(peer, load)?);
            }
        }
        Ok(seen)
    }
}

fn observed(peer: &Peer, load: Load) -> Result<(Seen, f64), String> {
    let others = Others::now()?;
    let seen = load::put(peer, load)?;
    Ok((seen, others.since()?))
}

/// The model, the reference before it, and the gateway before it.
#[derive(Debug)]
pub(crate) struct Trio {
    pub(crate) model: Peer,
    pub(crate) reference: Peer,
    pub(crate) gateway: Peer,
}

impl Trio {
    pub(crate) fn start(run: &Run) -> Result<Self, String> {
        let model = Peer::model()?;
        let reference = Peer::reference(&model)?;
        let gateway = run.gateway(&model, &Settings::default())?;
        Ok(Self { model, reference, gateway })
    }

    pub(crate) fn all(&self) -> [&Peer; 3] {
        [&self.model, &self.reference, &self.gateway]
    }
}

/// One figure of each round.
pub(crate) fn spread(rounds: &[Seen], of: impl Fn(&Seen) -> f64) -> Spread {
    Spread::of(rounds.iter().map(of))
}

/// How much dearer than the reference the gateway is, round by round, in what each adds to the model.
pub(crate) fn added_ratio(rounds: &[Vec<Seen>; 3], of: impl Fn(&Seen) -> f64) -> Spread {
    let [model, reference, gateway] = rounds;
    let rounds = model.iter().zip(reference).zip(gateway);
    Spread::of(rounds.map(|((model, reference), gateway)| (of(gateway) - of(model)) / (of(reference) - of(model))))
}

/// What a peer adds to the model, round by round.
pub(crate) fn added(model: &[Seen], peer: &[Seen], of: impl Fn(&Seen) -> f64) -> Spread {
    Spread::of(model.iter().zip(peer).map(|(model, peer)| of(peer) - of(model)))
}

/// One peer's figure by another's, round by round.
pub(crate) fn ratio(one: &[Seen], other: &[Seen], of: impl Fn(&Seen) -> f64) -> Spread {
    Spread::of(one.iter().zip(other).map(|(one, other)| of(one) / of(other)))
}
