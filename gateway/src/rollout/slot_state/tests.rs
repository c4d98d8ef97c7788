//! The lifecycle of an active place and its canary, driven by random sequences of all that may happen to them, beside a
//! ledger that is kept in other terms: numbers of contents instead of places, and only what the rules say of them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Contents that files may have; every fourth one does not pass a stage.
const CONTENTS: u8 = 10;
const ACTIVE: usize = 0;
const CANARY: usize = 1;

#[derive(Debug, Clone)]
enum Happening {
    /// A file gets this content, or is gone.
    File(usize, Option<u8>),
    /// A look at the files begins, and the admission of what is to be tried.
    Look(usize),
    /// What that began ends.
    Admitted(usize),
    Upload(usize, u8),
    PromoteCanary,
    /// A shadow with this content is promoted.
    PromoteShadow(u8),
    /// An operator asks to go back by so many.
    RollBack(usize),
    /// The earlier version is loaded and goes in.
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
    let place = || 0..2_usize;
    let content = || 0..CONTENTS;
    prop_oneof![
        4 => (place(), content()).prop_map(|(place, content)| H::File(place, Some(content))),
        1 => place().prop_map(|place| H::File(place, None)),
        8 => place().prop_map(H::Look),
        8 => place().prop_map(H::Admitted),
        2 => (place(), content()).prop_map(|(place, content)| H::Upload(place, content)),
        2 => Just(H::PromoteCanary),
        1 => content().prop_map(H::PromoteShadow),
        3 => (0..5_usize).prop_map(H::RollBack),
        3 => Just(H::RolledBack),
        1 => Just(H::BreakerOpens),
        1 => Just(H::AbortCanary),
        1 => place().prop_map(H::Retry),
        1 => (place(), any::<bool>()).prop_map(|(place, enabled)| H::Enable(place, enabled)),
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
        fixtures: None,
        settings: Map::new(),
        limits: GivenLimits::default(),
    }
}

fn placed(content: u8) -> Revision {
    Revision { spec: spec(content), policy: "p".into(), version: "1".into(), since: 0 }
}

fn content(placed: &Revision) -> u8 {
    placed.spec.digest.parse().unwrap()
}

fn refusal(stage: &str) -> Refusal {
    Refusal { digest: None, stage: stage.into(), reason: "as told".into(), since: 0 }
}

/// One place as the gateway has it, without what takes input and output.
#[derive(Debug, Default)]
struct Driven {
    place: SlotState,
    loaded: bool,
    file: Option<u8>,
    /// The content whose admission is under way, and the place's operator_epoch when it began.
    admission: Option<(u8, u64)>,
}

/// One place as the rules have it.
#[derive(Debug, Default)]
struct Ledger {
    serves: Option<u8>,
    /// What files were last seen to ask for.
    asked: Option<u8>,
    /// Of that, what is not to be tried.
    blocked: Option<u8>,
    /// Whether an operator decided since the admission under way began.
    overtaken: bool,
    /// What may be gone back to.
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
    /// An operator's going back that is being loaded.
    going_back: Option<Revision>,
    /// What the configuration says, and what an operator wished when it said what.
    configured: (bool, u8),
    wished_enabled: [Option<(bool, bool)>; 2],
    wished_share: Option<(u8, u8)>,
}

impl World {
    /// A gateway that has started: good content in both places.
    fn started() -> Self {
        let mut world = Self {
            driven: Default::default(),
            ledger: Default::default(),
            going_back: None,
            configured: (true, 1),
            wished_enabled: [None; 2],
            wished_share: None,
        };
        for place in [ACTIVE, CANARY] {
            world.driven[place].file = Some(place as u8);
            world.look(place);
            world.admitted(place);
        }
        world
    }

    fn is_enabled(&self, place: usize) -> bool {
        Override::or(self.driven[place].place.enabled, self.configured.0)
    }

    fn happens(&mut self, happening: Happening) {
        use Happening as H;
        match happening {
            H::File(place, content) => self.driven[place].file = content,
            H::Look(place) => self.look(place),
            H::Admitted(place) => self.admitted(place),
            H::Upload(place, content) if is_good(content) => self.supersede(place, content),
            H::PromoteCanary if self.driven[CANARY].loaded => {
                let content = content(self.driven[CANARY].place.serving.as_ref().unwrap());
                self.vacate("superseded");
                self.supersede(ACTIVE, content);
            }
            H::PromoteShadow(content) if is_good(content) => self.supersede(ACTIVE, content),
            H::RollBack(by) => {
                let earlier = self.driven[ACTIVE].place.previous.get(by).map(|placed| placed.spec.digest.clone());
                if let Ok(earlier) = self.driven[ACTIVE].place.earlier(earlier.as_deref()) {
                    self.going_back = Some(earlier.clone());
                }
            }
            H::RolledBack => {
                if let Some(to) = self.going_back.take() {
                    self.roll_back(to, false);
                }
            }
            H::BreakerOpens if self.driven[ACTIVE].loaded => {
                if let Ok(to) = self.driven[ACTIVE].place.earlier(None).cloned() {
                    self.roll_back(to, true);
                }
            }
            H::AbortCanary if self.driven[CANARY].loaded => self.vacate("aborted"),
            H::Retry(place) => {
                let blocked = self.ledger[place].blocked.take().is_some();
                let aside = self.driven[place].place.retry();
                assert!(aside || !blocked, "what is set aside is known to be");
            }
            H::Enable(place, enabled) if enabled != self.is_enabled(place) => self.enable(place, enabled),
            H::Share(percent) => {
                self.driven[CANARY].place.percent =
                    Some(Override::new(f64::from(self.configured.1), f64::from(percent)));
                self.wished_share = Some((self.configured.1, percent));
            }
            H::Configure { enabled, percent } => {
                self.configured = (enabled, percent);
                self.wished_share.take_if(|(over, _)| *over != percent);
                for place in [ACTIVE, CANARY] {
                    self.wished_enabled[place].take_if(|(over, _)| *over != enabled);
                    self.driven[place].place.configured(enabled, f64::from(percent));
                    let driven = &mut self.driven[place];
                    // As a look does that finds the place working, or not.
                    driven.loaded = driven.place.serving.is_some() && Override::or(driven.place.enabled, enabled);
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

    /// What is tried is what the ledger says is to be tried, no more and no less.
    fn look(&mut self, place: usize) {
        let enabled = self.is_enabled(place);
        let (driven, ledger) = (&mut self.driven[place], &mut self.ledger[place]);
        let Some(content) = driven.file.filter(|_| enabled && driven.admission.is_none()) else { return };
        let identity = spec(content).identity();
        driven.place.desire(identity.clone());
        ledger.asked = Some(content);
        if ledger.serves == Some(content) {
            ledger.blocked = None;
        }
        let is_new = !(driven.loaded && ledger.serves == Some(content)) && ledger.blocked != Some(content);
        assert_eq!(driven.place.needs_attempt(&identity, driven.loaded), is_new, "{content} is tried as the rules say");
        if is_new {
            driven.admission = Some((content, driven.place.operator_epoch));
            ledger.overtaken = false;
        }
    }

    fn admitted(&mut self, place: usize) {
        let enabled = self.is_enabled(place);
        let (driven, ledger) = (&mut self.driven[place], &mut self.ledger[place]);
        let Some((content, operator_epoch)) = driven.admission.take() else { return };
        let identity = spec(content).identity();
        let before = driven.place.serving.clone();
        if !is_good(content) {
            if driven.place.needs_attempt(&identity, driven.loaded) {
                driven.place.refuse(identity, refusal("probed"));
                ledger.blocked = Some(content);
            }
            return;
        }
        match driven.place.admission(&identity, driven.loaded, operator_epoch) {
            Admission::In if enabled => {
                driven.place.deploy(placed(content));
                driven.loaded = true;
                ledger.serve(content);
                ledger.blocked = None;
            }
            Admission::Late => {
                driven.place.refuse(identity, refusal("superseded"));
                ledger.blocked = Some(content);
            }
            Admission::In | Admission::Known => {}
        }
        if ledger.overtaken {
            assert_eq!(driven.place.serving, before, "a late admission undoes what an operator did");
        }
    }

    /// An operator lets something else decide.
    fn supersede(&mut self, place: usize, content: u8) {
        let enabled = self.is_enabled(place);
        let (driven, ledger) = (&mut self.driven[place], &mut self.ledger[place]);
        driven.place.supersede(placed(content), refusal("superseded"));
        driven.loaded = enabled;
        ledger.overtaken = true;
        ledger.blocked = ledger.asked.or(ledger.blocked);
        ledger.serve(content);
    }

    fn vacate(&mut self, stage: &str) {
        let (driven, ledger) = (&mut self.driven[CANARY], &mut self.ledger[CANARY]);
        driven.place.vacate(refusal(stage));
        self.wished_share = None;
        driven.loaded = false;
        ledger.blocked = ledger.asked.or(ledger.serves);
        ledger.serves = None;
    }

    fn roll_back(&mut self, to: Revision, broken: bool) {
        let enabled = self.is_enabled(ACTIVE);
        let (driven, ledger) = (&mut self.driven[ACTIVE], &mut self.ledger[ACTIVE]);
        let (left, back) = (ledger.serves, content(&to));
        driven.place.roll_back(to, refusal("rolled_back"), broken);
        driven.loaded = enabled;
        ledger.overtaken |= !broken;
        if left.is_some() && left == ledger.asked && left != Some(back) {
            ledger.blocked = left;
        }
        ledger.serve(back);
        if broken {
            ledger.earlier.retain(|earlier| Some(*earlier) != left);
            assert!(
                driven.place.previous.iter().all(|previous| Some(content(previous)) != left),
                "the broken one is kept"
            );
        }
    }

    fn enable(&mut self, place: usize, enabled: bool) {
        let driven = &mut self.driven[place];
        driven.place.enabled = Some(Override::new(self.configured.0, enabled));
        driven.loaded = enabled && driven.place.serving.is_some();
        self.wished_enabled[place] = Some((self.configured.0, enabled));
    }

    /// What is kept is read again, in a process that has nothing under way.
    fn restart(&mut self) {
        self.going_back = None;
        for place in [ACTIVE, CANARY] {
            let enabled = self.is_enabled(place);
            let (driven, ledger) = (&mut self.driven[place], &mut self.ledger[place]);
            driven.admission = None;
            let kept: SlotState = serde_json::from_slice(&serde_json::to_vec(&driven.place).unwrap()).unwrap();
            assert_eq!(SlotState { operator_epoch: 0, ..driven.place.clone() }, kept);
            driven.place = kept;
            driven.loaded = false;
            if !enabled {
                continue;
            }
            let identity = driven.file.map(|content| spec(content).identity());
            let begin = driven.place.begin(identity.as_deref(), place == ACTIVE);
            let blocked = driven.file.is_some() && driven.file == ledger.blocked;
            if let Some(content) = driven.file {
                driven.place.desire(identity.clone().unwrap());
                ledger.asked = Some(content);
                if ledger.serves == Some(content) {
                    ledger.blocked = None;
                }
            }
            match (begin, driven.file) {
                (Begin::Files, Some(content)) => {
                    assert!(!blocked || ledger.serves.is_none() && place == ACTIVE, "{content} is tried at the start");
                    let (serves, identity) = (driven.place.serving.is_some(), spec(content).identity());
                    match is_good(content) {
                        true if ledger.serves != Some(content) => {
                            driven.place.deploy(placed(content));
                            ledger.serve(content);
                            ledger.blocked = None;
                        }
                        true => {}
                        false => {
                            driven.place.refuse(identity, refusal("probed"));
                            ledger.blocked = Some(content);
                        }
                    }
                    driven.loaded = serves || is_good(content);
                }
                (Begin::Files | Begin::Kept, _) => driven.loaded = driven.place.serving.is_some(),
                (Begin::Empty, _) => assert_eq!(ledger.serves, None, "a restart takes out what served"),
            }
            let serves = driven.place.serving.as_ref().filter(|_| driven.loaded).map(content);
            assert_eq!(serves, ledger.serves, "a restart serves what served, or what files newly ask for");
        }
    }

    /// What holds at any moment.
    fn holds(&self) {
        for place in [ACTIVE, CANARY] {
            let (Driven { place: state, loaded, .. }, ledger) = (&self.driven[place], &self.ledger[place]);
            let serves = state.serving.as_ref().map(content);
            assert_eq!(serves, ledger.serves, "what serves is what the rules say");
            assert!(place != ACTIVE || serves.is_some(), "nothing is left to decide");
            assert_eq!(*loaded, serves.is_some() && self.is_enabled(place), "what serves works unless it is disabled");
            assert!(state.revisions().all(|placed| is_good(content(placed))), "what failed a stage could serve");
            let earlier: Vec<u8> = state.previous.iter().map(content).collect();
            assert!(earlier.len() <= KEPT, "{} earlier versions are kept", earlier.len());
            assert!(earlier.iter().all(|earlier| Some(*earlier) != serves), "what serves is among what served before");
            assert!(
                (1..earlier.len()).all(|at| !earlier[..at].contains(&earlier[at])),
                "an earlier version is there twice"
            );
            assert!(
                earlier.iter().all(|earlier| ledger.earlier.contains(earlier)),
                "what never served is gone back to"
            );
            let aside = state.blocked.as_ref().map(|aside| &aside.identity);
            assert_eq!(aside.cloned(), ledger.blocked.map(|content| spec(content).identity()), "what is set aside");
            let enabled = self.wished_enabled[place].filter(|(over, _)| *over == self.configured.0);
            assert_eq!(self.is_enabled(place), enabled.map_or(self.configured.0, |(_, value)| value));
        }
        let share = self.wished_share.filter(|(over, _)| *over == self.configured.1);
        let share = share.map_or(self.configured.1, |(_, value)| value);
        assert_eq!(Override::or(self.driven[CANARY].place.percent, f64::from(self.configured.1)), f64::from(share));
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
