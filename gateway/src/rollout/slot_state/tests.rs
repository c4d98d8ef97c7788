//! Drives an active slot and its canary with random sequences of events, and compares them with a ledger. The ledger is
//! an independent model of the rules: it tracks content numbers instead of slot states.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Number of contents that a file can have; every fourth one fails a stage.
const CONTENTS: u8 = 10;
const ACTIVE: usize = 0;
const CANARY: usize = 1;

#[derive(Debug, Clone)]
enum Happening {
    /// A file gets this content, or is deleted.
    File(usize, Option<u8>),
    /// A reconciliation begins, and with it the admission of what must be tried.
    Look(usize),
    /// That admission ends.
    Admitted(usize),
    Upload(usize, u8),
    PromoteCanary,
    /// A shadow with this content is promoted.
    PromoteShadow(u8),
    /// An operator requests a rollback by so many versions.
    RollBack(usize),
    /// The earlier version is loaded and deployed.
    RolledBack,
    BreakerOpens,
    AbortCanary,
    Retry(usize),
    Enable(usize, bool),
    Share(u8),
    Configure {
        enabled: bool,
        percent: u8,
    },
    Restart,
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening as H;
    let slot = || 0..2_usize;
    let content = || 0..CONTENTS;
    prop_oneof![
        4 => (slot(), content()).prop_map(|(slot, content)| H::File(slot, Some(content))),
        1 => slot().prop_map(|slot| H::File(slot, None)),
        8 => slot().prop_map(H::Look),
        8 => slot().prop_map(H::Admitted),
        2 => (slot(), content()).prop_map(|(slot, content)| H::Upload(slot, content)),
        2 => Just(H::PromoteCanary),
        1 => content().prop_map(H::PromoteShadow),
        3 => (0..5_usize).prop_map(H::RollBack),
        3 => Just(H::RolledBack),
        1 => Just(H::BreakerOpens),
        1 => Just(H::AbortCanary),
        1 => slot().prop_map(H::Retry),
        1 => (slot(), any::<bool>()).prop_map(|(slot, enabled)| H::Enable(slot, enabled)),
        1 => (0..=100_u8).prop_map(H::Share),
        1 => (any::<bool>(), 0..=3_u8).prop_map(|(enabled, percent)| H::Configure { enabled, percent }),
        2 => Just(H::Restart),
    ]
}

fn is_good(content: u8) -> bool {
    content % 4 != 3
}

fn spec(content: u8) -> Spec {
    Spec {
        origin: "a file".into(),
        digest: format!("{content:064}"),
        script: None,
        fixtures: None,
        settings: Map::new(),
        limits: GivenLimits::default(),
    }
}

fn revision(content: u8) -> Revision {
    Revision { spec: spec(content), policy: "p".into(), version: "1".into(), since: 0, rolled_back_from: false }
}

fn content(revision: &Revision) -> u8 {
    revision.spec.digest.parse().unwrap()
}

fn refusal(stage: &str) -> Refusal {
    Refusal { policy: None, digest: None, revision: None, stage: stage.into(), reason: "a reason".into(), since: 0 }
}

/// One slot as the gateway has it, without I/O.
#[derive(Debug, Default)]
struct Driven {
    state: SlotState,
    loaded: bool,
    file: Option<u8>,
    /// The content whose admission is in progress, and the slot's `operator_epoch` when it began.
    admission: Option<(u8, u64)>,
}

/// One slot as the rules have it.
#[derive(Debug, Default)]
struct Ledger {
    serves: Option<u8>,
    /// What the files last desired.
    desired: Option<u8>,
    /// What must not be tried.
    blocked: Option<u8>,
    /// Whether an operator decided since the admission in progress began.
    overtaken: bool,
    /// What a rollback may reach.
    earlier: Vec<u8>,
}

impl Ledger {
    fn serve(&mut self, content: u8) {
        let left = self.serves.replace(content);
        self.earlier.extend(left);
        self.earlier.retain(|earlier| *earlier != content);
        if self.blocked == Some(content) {
            self.blocked = None;
        }
    }
}

#[derive(Debug)]
struct World {
    driven: [Driven; 2],
    ledger: [Ledger; 2],
    /// An operator's rollback that is loading.
    rolling_back: Option<Revision>,
    /// The configured values, and each operator's override with the configured value that it overrides.
    configured: (bool, u8),
    override_enabled: [Option<(bool, bool)>; 2],
    override_share: Option<(u8, u8)>,
}

impl World {
    /// A started gateway: good content in both slots.
    fn started() -> Self {
        let mut world = Self {
            driven: Default::default(),
            ledger: Default::default(),
            rolling_back: None,
            configured: (true, 1),
            override_enabled: [None; 2],
            override_share: None,
        };
        for slot in [ACTIVE, CANARY] {
            world.driven[slot].file = Some(slot as u8);
            world.look(slot);
            world.admitted(slot);
        }
        world
    }

    fn is_enabled(&self, slot: usize) -> bool {
        Override::or(self.driven[slot].state.enabled, self.configured.0)
    }

    fn happens(&mut self, happening: Happening) {
        use Happening as H;
        match happening {
            H::File(slot, content) => self.driven[slot].file = content,
            H::Look(slot) => self.look(slot),
            H::Admitted(slot) => self.admitted(slot),
            H::Upload(slot, content) if is_good(content) => self.supersede(slot, content),
            H::PromoteCanary if self.driven[CANARY].loaded => {
                let content = content(self.driven[CANARY].state.serving.as_ref().unwrap());
                self.vacate("superseded");
                self.supersede(ACTIVE, content);
            }
            H::PromoteShadow(content) if is_good(content) => self.supersede(ACTIVE, content),
            H::RollBack(by) => {
                let earlier = self.driven[ACTIVE].state.previous.get(by).map(|revision| revision.spec.identity());
                if let Ok(earlier) = self.driven[ACTIVE].state.earlier(earlier.as_deref()) {
                    self.rolling_back = Some(earlier.clone());
                }
            }
            H::RolledBack => {
                if let Some(to) = self.rolling_back.take() {
                    self.roll_back(to, false);
                }
            }
            H::BreakerOpens if self.driven[ACTIVE].loaded => {
                if let Ok(to) = self.driven[ACTIVE].state.earlier(None).cloned() {
                    self.roll_back(to, true);
                }
            }
            H::AbortCanary if self.driven[CANARY].loaded => self.vacate("aborted"),
            H::Retry(slot) => {
                let blocked = self.ledger[slot].blocked.take().is_some();
                let unblocked = self.driven[slot].state.retry();
                assert!(unblocked || !blocked, "what the rules block is blocked");
            }
            H::Enable(slot, enabled) if enabled != self.is_enabled(slot) => self.enable(slot, enabled),
            H::Share(percent) => {
                self.driven[CANARY].state.percent =
                    Some(Override::new(f64::from(self.configured.1), f64::from(percent)));
                self.override_share = Some((self.configured.1, percent));
            }
            H::Configure { enabled, percent } => {
                self.configured = (enabled, percent);
                self.override_share.take_if(|(over, _)| *over != percent);
                for slot in [ACTIVE, CANARY] {
                    self.override_enabled[slot].take_if(|(over, _)| *over != enabled);
                    self.driven[slot].state.configured(enabled, f64::from(percent));
                    let driven = &mut self.driven[slot];
                    // As a reconciliation does that finds the slot enabled, or not.
                    driven.loaded = driven.state.serving.is_some() && Override::or(driven.state.enabled, enabled);
                }
            }
            H::Restart => self.restart(),
            H::Upload(..)
            | H::PromoteCanary
            | H::PromoteShadow(_)
            | H::BreakerOpens
            | H::AbortCanary
            | H::Enable(..) => {}
        }
    }

    /// The gateway tries exactly what the ledger says must be tried.
    fn look(&mut self, slot: usize) {
        let enabled = self.is_enabled(slot);
        let (driven, ledger) = (&mut self.driven[slot], &mut self.ledger[slot]);
        let Some(content) = driven.file.filter(|_| enabled && driven.admission.is_none()) else { return };
        let identity = spec(content).identity();
        driven.state.desire(identity.clone());
        ledger.desired = Some(content);
        if ledger.serves == Some(content) {
            ledger.blocked = None;
        }
        let is_new = !(driven.loaded && ledger.serves == Some(content)) && ledger.blocked != Some(content);
        assert_eq!(driven.state.needs_attempt(&identity, driven.loaded), is_new, "{content} is tried as the rules say");
        if is_new {
            driven.admission = Some((content, driven.state.operator_epoch));
            ledger.overtaken = false;
        }
    }

    fn admitted(&mut self, slot: usize) {
        let enabled = self.is_enabled(slot);
        let (driven, ledger) = (&mut self.driven[slot], &mut self.ledger[slot]);
        let Some((content, operator_epoch)) = driven.admission.take() else { return };
        let identity = spec(content).identity();
        let before = driven.state.serving.clone();
        if !is_good(content) {
            if driven.state.needs_attempt(&identity, driven.loaded) {
                driven.state.refuse(identity, refusal("probed"));
                ledger.blocked = Some(content);
            }
            return;
        }
        match driven.state.admission(&identity, driven.loaded, operator_epoch) {
            Admission::In if enabled => {
                driven.state.deploy(revision(content));
                driven.loaded = true;
                ledger.serve(content);
                ledger.blocked = None;
            }
            Admission::Late => {
                driven.state.refuse(identity, refusal("superseded"));
                ledger.blocked = Some(content);
            }
            Admission::In | Admission::Known => {}
        }
        if ledger.overtaken {
            assert_eq!(driven.state.serving, before, "a late admission undoes an operator's decision");
        }
    }

    /// An operator deploys another version.
    fn supersede(&mut self, slot: usize, content: u8) {
        let enabled = self.is_enabled(slot);
        let (driven, ledger) = (&mut self.driven[slot], &mut self.ledger[slot]);
        driven.state.supersede(revision(content), refusal("superseded"));
        driven.loaded = enabled;
        ledger.overtaken = true;
        ledger.blocked = ledger.desired.or(ledger.blocked);
        ledger.serve(content);
    }

    fn vacate(&mut self, stage: &str) {
        let (driven, ledger) = (&mut self.driven[CANARY], &mut self.ledger[CANARY]);
        driven.state.vacate(refusal(stage));
        self.override_share = None;
        driven.loaded = false;
        ledger.blocked = ledger.desired.or(ledger.serves);
        ledger.serves = None;
    }

    fn roll_back(&mut self, to: Revision, broken: bool) {
        let enabled = self.is_enabled(ACTIVE);
        let (driven, ledger) = (&mut self.driven[ACTIVE], &mut self.ledger[ACTIVE]);
        let (left, back) = (ledger.serves, content(&to));
        driven.state.roll_back(to, refusal("rolled_back"), broken);
        driven.loaded = enabled;
        ledger.overtaken |= !broken;
        if left.is_some() && left == ledger.desired && left != Some(back) {
            ledger.blocked = left;
        }
        ledger.serve(back);
        if broken {
            ledger.earlier.retain(|earlier| Some(*earlier) != left);
            assert!(
                driven.state.previous.iter().all(|previous| Some(content(previous)) != left),
                "the broken version is offered for rollback"
            );
        }
    }

    fn enable(&mut self, slot: usize, enabled: bool) {
        let driven = &mut self.driven[slot];
        driven.state.enabled = Some(Override::new(self.configured.0, enabled));
        driven.loaded = enabled && driven.state.serving.is_some();
        self.override_enabled[slot] = Some((self.configured.0, enabled));
    }

    /// A new process reads the saved state; nothing is in progress.
    fn restart(&mut self) {
        self.rolling_back = None;
        for slot in [ACTIVE, CANARY] {
            let enabled = self.is_enabled(slot);
            let (driven, ledger) = (&mut self.driven[slot], &mut self.ledger[slot]);
            driven.admission = None;
            let kept: SlotState = serde_json::from_slice(&serde_json::to_vec(&driven.state).unwrap()).unwrap();
            assert_eq!(SlotState { operator_epoch: 0, ..driven.state.clone() }, kept);
            driven.state = kept;
            driven.loaded = false;
            if !enabled {
                continue;
            }
            let identity = driven.file.map(|content| spec(content).identity());
            let begin = driven.state.begin(identity.as_deref(), slot == ACTIVE);
            let blocked = driven.file.is_some() && driven.file == ledger.blocked;
            if let Some(content) = driven.file {
                driven.state.desire(identity.clone().unwrap());
                ledger.desired = Some(content);
                if ledger.serves == Some(content) {
                    ledger.blocked = None;
                }
            }
            match (begin, driven.file) {
                (Begin::Files, Some(content)) => {
                    assert!(!blocked || ledger.serves.is_none() && slot == ACTIVE, "{content} is tried at the start");
                    let (serves, identity) = (driven.state.serving.is_some(), spec(content).identity());
                    match is_good(content) {
                        true if ledger.serves != Some(content) => {
                            driven.state.deploy(revision(content));
                            ledger.serve(content);
                            ledger.blocked = None;
                        }
                        true => {}
                        false => {
                            driven.state.refuse(identity, refusal("probed"));
                            ledger.blocked = Some(content);
                        }
                    }
                    driven.loaded = serves || is_good(content);
                }
                (Begin::Files | Begin::Kept, _) => driven.loaded = driven.state.serving.is_some(),
                (Begin::Empty, _) => assert_eq!(ledger.serves, None, "a restart takes out the serving version"),
            }
            let serves = driven.state.serving.as_ref().filter(|_| driven.loaded).map(content);
            assert_eq!(serves, ledger.serves, "a restart serves what served, or what the files newly desire");
        }
    }

    /// The invariants.
    fn holds(&self) {
        for slot in [ACTIVE, CANARY] {
            let (Driven { state, loaded, .. }, ledger) = (&self.driven[slot], &self.ledger[slot]);
            let serves = state.serving.as_ref().map(content);
            assert_eq!(serves, ledger.serves, "what serves is what the rules say");
            assert!(slot != ACTIVE || serves.is_some(), "the active slot is empty");
            assert_eq!(
                *loaded,
                serves.is_some() && self.is_enabled(slot),
                "what serves is loaded unless the slot is disabled"
            );
            assert!(
                state.revisions().all(|revision| is_good(content(revision))),
                "a version that failed a stage could serve"
            );
            let earlier: Vec<u8> = state.previous.iter().map(content).collect();
            assert!(earlier.len() <= KEPT, "{} earlier versions are kept", earlier.len());
            assert!(
                earlier.iter().all(|earlier| Some(*earlier) != serves),
                "the serving version is also an earlier one"
            );
            assert!(
                (1..earlier.len()).all(|at| !earlier[..at].contains(&earlier[at])),
                "an earlier version is listed twice"
            );
            assert!(earlier.iter().all(|earlier| ledger.earlier.contains(earlier)), "an earlier version never served");
            let mut rolling = state.clone();
            let mut reached: Vec<u8> = serves.into_iter().collect();
            while let Ok(next) = rolling.earlier(None).cloned() {
                assert!(!reached.contains(&content(&next)), "rollbacks go round in circles: {reached:?}");
                reached.push(content(&next));
                rolling.roll_back(Revision { rolled_back_from: false, ..next }, refusal("rolled_back"), false);
            }
            let blocked = state.blocked.as_ref().map(|blocked| &blocked.identity);
            assert_eq!(blocked.cloned(), ledger.blocked.map(|content| spec(content).identity()), "what is blocked");
            let enabled = self.override_enabled[slot].filter(|(over, _)| *over == self.configured.0);
            assert_eq!(self.is_enabled(slot), enabled.map_or(self.configured.0, |(_, value)| value));
        }
        let share = self.override_share.filter(|(over, _)| *over == self.configured.1);
        let share = share.map_or(self.configured.1, |(_, value)| value);
        assert_eq!(Override::or(self.driven[CANARY].state.percent, f64::from(self.configured.1)), f64::from(share));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_rules_hold(happenings in vec(happening(), 1..60)) {
        let mut world = World::started();
        for happening in happenings {
            world.happens(happening);
            world.holds();
        }
    }
}
