//! Random lives of gateways that share limits by the real script: requests begin and end, answers are lost, gateways die, the
//! server loses its memory. A second account of all that requests used is the judge.

use std::sync::Arc;
use std::time::Duration;

use wasmgate_accounts::{
    Accounts, Amount, Answer, Chain, GroupSpec, Limit, Measure, Meters, Period, Reach, Reservation, Round, Sharing,
    TimeZone, WhenSpent,
};
use wasmgate_shared::{Address, Link, Speaker};
use wasmgate_tests::redis::Redis;

const MOST: u64 = 1000;
const AT_ONCE: u64 = 4;

/// Random numbers that a seed repeats (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn choose(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }
}

/// A gateway without its process.
struct Node {
    speaker: Speaker,
    sharing: Arc<Sharing>,
    meters: Meters,
    chain: Chain,
    flying: Vec<(Reservation, u64)>,
}

impl Node {
    fn new(id: String, exact: bool, lease: Duration) -> Self {
        let limit =
            |measure, most, period| Limit { measure, most, period, zone: TimeZone::UTC, when_spent: WhenSpent::Reject };
        let limits = vec![
            limit(Measure::Money, MOST, Period::Total),
            limit(Measure::Requests, 200, Period::Day),
            limit(Measure::Concurrent, AT_ONCE, Period::Total),
        ];
        let group = GroupSpec { name: "acme".into(), limits, exact, ..GroupSpec::default() };
        let accounts = Accounts::new(&[group], Vec::new()).unwrap();
        let sharing = Arc::new(Sharing::new(5.0, Box::new(|| {})));
        sharing.set_reach(Reach::Reached);
        sharing.begin_life();
        let meters = Meters::shared(Arc::clone(&sharing));
        let chain = meters.chains(&accounts, 0).remove(0);
        Self { speaker: Speaker { id, prefix: "test".into(), lease }, sharing, meters, chain, flying: Vec::new() }
    }

    async fn tell(&self, link: &Link, claims: Vec<wasmgate_accounts::Claim>, is_lost: bool) {
        let said = link.exchange(&self.speaker, &claims, 0).await.unwrap();
        for (claim, said) in claims.iter().zip(said).filter(|_| !is_lost) {
            let (borrowed, returned, taken) = (said.borrowed, said.returned, said.taken);
            claim.answered(&Answer { borrowed, returned, taken, life: self.sharing.life() });
        }
    }

    async fn round(&self, link: &Link, round: Round, is_lost: bool) {
        let due = self.sharing.take_due();
        let due = matches!(round, Round::Due).then_some(&*due);
        self.tell(link, self.meters.claims(due, round, 0), is_lost).await;
    }

    /// As the gateway does: asks if it lacks some, and tries anew.
    async fn begin(&self, link: &Link, money: u64, is_lost: bool) -> Option<Reservation> {
        let amount = Amount { tokens: 0, money };
        for _ in 0..3 {
            match self.chain.reserve(amount, 0) {
                Ok(reservation) => return Some(reservation),
                Err(exceeded) if !exceeded.lacks => return None,
                Err(_) => self.tell(link, self.chain.lacking(amount, 0), is_lost).await,
            }
        }
        None
    }
}

/// What may happen in a life.
#[derive(Debug, Clone, Copy)]
struct Kind {
    exact: bool,
    /// Leases end in the middle of a life.
    short: bool,
    /// The server loses its memory.
    forgets: bool,
}

async fn live(redis: &Redis, link: &Link, seed: u64, kind: Kind) {
    let mut random = Random(seed);
    let lease = if kind.short { Duration::from_millis(5) } else { Duration::from_secs(3600) };
    let mut born = 0;
    let mut node = || {
        born += 1;
        Node::new(format!("{seed}-{born}"), kind.exact, lease)
    };
    let mut nodes: Vec<Node> = (0..3).map(|_| node()).collect();
    // What requests used, or were to use when their gateway died; and what they used beyond what they had reserved.
    let (mut spent, mut beyond) = (0, 0);
    for _ in 0..150 {
        let at = random.choose(nodes.len());
        let is_lost = random.below(10) == 0;
        match random.below(100) {
            0..45 => {
                let expected = random.below(30);
                let used = if random.below(10) == 0 { expected + random.below(20) } else { random.below(expected + 1) };
                if let Some(reservation) = nodes[at].begin(link, expected, is_lost).await {
                    nodes[at].flying.push((reservation, used));
                }
            }
            45..80 => {
                let flying = &mut nodes[at].flying;
                if !flying.is_empty() {
                    let (reservation, used) = flying.swap_remove(random.choose(flying.len()));
                    spent += used;
                    beyond += used.saturating_sub(reservation.held().money);
                    reservation.settle(Amount { tokens: 0, money: used });
                }
            }
            80..90 => nodes[at].round(link, Round::Due, is_lost).await,
            90..96 => nodes[at].round(link, Round::Beat { renew: random.below(3) == 0 }, is_lost).await,
            96..98 => {
                // It dies; the provider answers what it had asked.
                let dead = std::mem::replace(&mut nodes[at], node());
                for (reservation, used) in dead.flying {
                    spent += used;
                    beyond += used.saturating_sub(reservation.held().money);
                    // Its memory is gone with it.
                    std::mem::forget(reservation);
                }
            }
            _ if kind.forgets => {
                // What the others had heard of when it forgot is not lost.
                for node in &nodes {
                    node.round(link, Round::Beat { renew: true }, false).await;
                }
                let _: String = redis.ask(&["FLUSHALL"]);
                for node in &nodes {
                    node.sharing.set_reach(Reach::BorrowedOnly);
                    node.sharing.begin_life();
                }
                for node in &nodes {
                    node.round(link, Round::Beat { renew: true }, false).await;
                }
                nodes.iter().for_each(|node| node.sharing.set_reach(Reach::Reached));
            }
            _ => {}
        }
        assert!(
            spent <= MOST + beyond,
            "seed {seed}, {kind:?}: {spent} spent, {beyond} of it beyond what was reserved"
        );
        let at_once: usize = nodes.iter().map(|node| node.flying.len()).sum();
        assert!(kind.short || at_once as u64 <= AT_ONCE, "seed {seed}, {kind:?}: {at_once} at once");
    }
    // All that is reserved is free in the end: what gateways return, and what dead ones held.
    for node in &mut nodes {
        node.flying.drain(..).for_each(|(reservation, used)| reservation.settle(Amount { tokens: 0, money: used }));
        node.round(link, Round::Last, false).await;
    }
    let money = "{acme:usd:total:UTC}:0";
    let settled = || {
        // Leases end at the next word of anybody.
        let (bucket, at_once) = (redis.bucket(money)?, redis.bucket("concurrent").unwrap_or_default());
        (bucket["lent"] == bucket["spent"] && at_once.get("lent").is_none_or(|lent| *lent == 0)).then_some(())
    };
    if kind.short {
        let last = node();
        for _ in 0..1000 {
            last.round(link, Round::Beat { renew: true }, false).await;
            if settled().is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let left = [redis.bucket(money), redis.bucket("concurrent")];
        assert!(settled().is_some(), "seed {seed}, {kind:?}: {left:?}");
    }
    let _: String = redis.ask(&["FLUSHALL"]);
}

#[test]
fn gateways_never_spend_more_than_a_limit_whatever_is_lost() {
    let redis = Redis::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let address = Address::parse(&redis.url(), None).unwrap();
        let (link, server) = Link::open(&address, Duration::from_secs(10)).await.unwrap();
        assert!(server.run.is_some_and(|run| run.len() == 40));
        for seed in 0..40 {
            for exact in [false, true] {
                for [short, forgets] in [[false, false], [true, false], [false, true], [true, true]] {
                    live(&redis, &link, seed, Kind { exact, short, forgets }).await;
                }
            }
        }
    });
}
