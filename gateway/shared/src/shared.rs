//! The task that speaks with the server: it borrows ahead of requests, returns what they left, extends leases, and after an
//! outage tells everything anew. Requests that find too little borrow by themselves (`Shared::borrow`), within a deadline.
//!
//! A server that has just begun its life may have lost its memory. It lends nothing until the gateways had time to tell it what
//! they borrowed before.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use wasmgate_accounts::{Amount, Answer, Chain, Claim, Meters, Reach, Round, Sharing};
use wasmgate_base::log_limit::LogLimit;
use wasmgate_base::time::UnixSeconds;

use crate::address::Address;
use crate::link::{Fault, Link, Said, Speaker};

/// The longest time between two rounds.
const BEAT: Duration = Duration::from_secs(1);
/// Between rounds that something made due: so many settle together.
const GAP: Duration = Duration::from_millis(2);
/// The first pause between two attempts to connect. Later ones are longer, up to a beat: so that after a restart of the server all
/// gateways have told it what they know before it lends.
const PAUSE: Duration = Duration::from_millis(50);

/// How limits are shared.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server.
    pub address: Address,
    /// The beginning of all keys, so that several sets of gateways can use one server.
    pub prefix: String,
    /// How much of a limit a gateway borrows ahead, in percent; the configuration allows 0 to 50.
    pub slice_percent: f64,
    /// How long what a gateway borrowed stays reserved if it is not heard of.
    pub lease: Duration,
    /// How long a request waits for the server, and each other command.
    pub deadline: Duration,
    /// What holds while the server does not answer.
    pub when_down: WhenDown,
}

/// What holds while the server does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenDown {
    /// Requests take what was borrowed before.
    BorrowedOnly,
    /// No request of a group with limits is admitted.
    Closed,
    /// Requests and tokens are admitted up to the limit divided by the gateways that were last known. Money is as with
    /// `BorrowedOnly`.
    LocalShare,
}

/// A request could not borrow, because the server did not answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreachable;

/// How often gateways borrowed since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ahead of requests: granted, refused, failed.
    pub ahead: [u64; 3],
    /// For a request that waited: granted, refused, failed.
    pub waiting: [u64; 3],
}

/// See the module.
pub struct Shared {
    settings: Settings,
    speaker: Speaker,
    sharing: Arc<Sharing>,
    meters: Arc<Meters>,
    /// The connection while the server can be asked.
    link: RwLock<Option<Link>>,
    wake: Arc<Notify>,
    /// Whether a request waited in vain, so that the connection is to be tried at once.
    suspects: AtomicBool,
    /// The server's time less this machine's, in milliseconds.
    ahead_ms: AtomicI64,
    gateways: AtomicU32,
    counts: [AtomicU64; 6],
    /// Entries that the others have not been told, and those that were changed at two gateways at once.
    entries: [AtomicU64; 2],
    lines: LogLimit,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.settings)
            .field("speaker", &self.speaker)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Shares the limits of its own meters. Nothing is asked until `run`.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(settings: Settings) -> Result<Arc<Self>, getrandom::Error> {
        let id = format!("{:016x}", getrandom::u64()?);
        let speaker = Speaker { id, prefix: settings.prefix.clone(), lease: settings.lease };
        let wake = Arc::new(Notify::new());
        let waker = Arc::clone(&wake);
        let sharing = Arc::new(Sharing::new(settings.slice_percent, Box::new(move || waker.notify_one())));
        let shared = Self {
            speaker,
            meters: Arc::new(Meters::shared(Arc::clone(&sharing))),
            sharing,
            link: RwLock::default(),
            wake,
            suspects: AtomicBool::new(false),
            ahead_ms: AtomicI64::new(0),
            gateways: AtomicU32::new(1),
            counts: Default::default(),
            entries: Default::default(),
            lines: LogLimit::default(),
            settings,
        };
        shared.sharing.set_reach(shared.when_down());
        Ok(Arc::new(shared))
    }

    /// How limits are shared, and where.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Notes how the exchange of entries is going: so many are not told, and so many conflicts there were since the start.
    pub fn note_entries(&self, untold: u64, conflicts: u64) {
        for (count, number) in self.entries.iter().zip([untold, conflicts]) {
            count.store(number, Ordering::Relaxed);
        }
    }

    /// Entries that are not told, and conflicts since the start.
    #[must_use]
    pub fn entries(&self) -> [u64; 2] {
        self.entries.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// The meters whose limits are shared.
    #[must_use]
    pub fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// Whether the server can be asked.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.sharing.reach() == Reach::Reached
    }

    /// How many gateways share the limits, as last known.
    #[must_use]
    pub fn gateways(&self) -> u32 {
        self.gateways.load(Ordering::Relaxed)
    }

    /// How often gateways borrowed.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let [a, b, c, d, e, f] = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        Counts { ahead: [a, b, c], waiting: [d, e, f] }
    }

    /// The server's time: so that all gateways begin a window together.
    #[must_use]
    pub fn now(&self) -> UnixSeconds {
        let server = own_ms().saturating_add(self.ahead_ms.load(Ordering::Relaxed));
        u64::try_from(server / 1000).unwrap_or_default()
    }

    /// Until when a request may wait for the server that begins to wait now, however often it asks.
    #[must_use]
    pub fn patience(&self) -> tokio::time::Instant {
        tokio::time::Instant::now() + self.settings.deadline
    }

    /// Borrows what a request lacks that is expected to take `amount`.
    ///
    /// # Errors
    /// If the server does not answer before `until`.
    pub async fn borrow(
        &self,
        chain: &Chain,
        amount: Amount,
        now: UnixSeconds,
        until: tokio::time::Instant,
    ) -> Result<(), Unreachable> {
        let link = if self.is_up() { self.link() } else { None };
        let failed = || {
            self.counts[5].fetch_add(1, Ordering::Relaxed);
            Unreachable
        };
        let Some(link) = link else { return Err(failed()) };
        let claims = chain.lacking(amount, now);
        let life = self.sharing.life();
        let exchange = link.exchange(&self.speaker, &claims, now);
        match tokio::time::timeout_at(until, exchange).await {
            Ok(Ok(said)) => {
                self.heard(3, &claims, &said, life);
                Ok(())
            }
            Ok(Err(_)) | Err(_) => {
                self.suspects.store(true, Ordering::Relaxed);
                self.wake.notify_one();
                Err(failed())
            }
        }
    }

    /// Speaks with the server until `ended`, then returns what is not used.
    pub async fn run(self: Arc<Self>, ended: CancellationToken) {
        let address = &self.settings.address;
        let (mut pause, mut run, mut lends) = (PAUSE, None, Instant::now());
        loop {
            let opened = tokio::select! {
                () = ended.cancelled() => return,
                opened = Link::open(address, self.settings.deadline) => opened,
            };
            let lost = match opened {
                Ok((link, server)) => {
                    pause = PAUSE;
                    if run.is_none() || run != server.run {
                        self.sharing.begin_life();
                        // At the first contact its life may be long, so that all others have told it everything.
                        let known = if run.is_none() { server.uptime } else { Duration::ZERO };
                        lends = Instant::now() + (3 * self.beat()).saturating_sub(known);
                    }
                    run = server.run;
                    match self.speak(&link, lends, &ended).await {
                        Ok(()) => return,
                        Err(fault) => fault,
                    }
                }
                Err(fault) => fault,
            };
            self.lose(&lost);
            tokio::select! {
                () = ended.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(self.beat());
        }
    }

    /// Speaks on one connection. The server lends from `lends` on.
    async fn speak(&self, link: &Link, lends: Instant, ended: &CancellationToken) -> Result<(), Fault> {
        let mut beat = tokio::time::interval(self.beat());
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut renewed = None;
        loop {
            tokio::select! {
                biased;
                () = ended.cancelled() => {
                    // The second returns what the answer to the first says was lent without the gateway's knowledge.
                    self.round(link, Round::Last).await?;
                    self.round(link, Round::Last).await?;
                    link.beat(&self.speaker, true).await?;
                    return Ok(());
                }
                _ = beat.tick() => {
                    let renew = renewed.is_none_or(|at: Instant| at.elapsed() >= self.settings.lease / 3);
                    renewed = if renew { Some(Instant::now()) } else { renewed };
                    let (gateways, time) = link.beat(&self.speaker, false).await?;
                    self.gateways.store(gateways.max(1), Ordering::Relaxed);
                    self.set_time(Some(time));
                    self.round(link, Round::Beat { renew }).await?;
                    self.regain(link, lends);
                }
                () = self.wake.notified() => {
                    if self.suspects.swap(false, Ordering::Relaxed) {
                        link.beat(&self.speaker, false).await?;
                    }
                    self.round(link, Round::Due).await?;
                    tokio::time::sleep(GAP).await;
                }
            }
        }
    }

    async fn round(&self, link: &Link, round: Round) -> Result<(), Fault> {
        let (life, now) = (self.sharing.life(), self.now());
        let due = self.sharing.take_due();
        let due = matches!(round, Round::Due).then_some(&*due);
        let claims = self.meters.claims(due, round, now);
        match link.exchange(&self.speaker, &claims, now).await {
            Ok(said) => {
                self.heard(0, &claims, &said, life);
                Ok(())
            }
            Err(fault) => {
                self.counts[2].fetch_add(1, Ordering::Relaxed);
                Err(fault)
            }
        }
    }

    /// From now on the server can be asked, if it lends.
    fn regain(&self, link: &Link, lends: Instant) {
        if self.is_up() || Instant::now() < lends {
            return;
        }
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
        self.sharing.set_reach(Reach::Reached);
        tracing::info!(address = %self.settings.address, gateways = self.gateways(), "the shared state is reached");
    }

    fn lose(&self, fault: &Fault) {
        let address = &self.settings.address;
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = None;
        let was_up = self.is_up();
        self.sharing.set_reach(self.when_down());
        if was_up {
            tracing::error!(%address, error = %fault, when_down = ?self.settings.when_down, "the shared state is lost");
        } else if let Some(suppressed) = self.lines.admit() {
            tracing::error!(%address, error = %fault, suppressed, "the shared state cannot be reached");
        }
    }

    fn when_down(&self) -> Reach {
        match self.settings.when_down {
            WhenDown::BorrowedOnly => Reach::BorrowedOnly,
            WhenDown::Closed => Reach::Closed,
            WhenDown::LocalShare => Reach::LocalShare(self.gateways()),
        }
    }

    fn link(&self) -> Option<Link> {
        self.link.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn beat(&self) -> Duration {
        BEAT.min(self.settings.lease / 4)
    }

    /// Takes answers, and counts from `at` on what was granted and refused.
    fn heard(&self, at: usize, claims: &[Claim], said: &[Said], life: u64) {
        for (claim, said) in claims.iter().zip(said) {
            claim.answered(&Answer { borrowed: said.borrowed, returned: said.returned, taken: said.taken, life });
            if claim.terms.want > 0 {
                self.counts[at + usize::from(said.granted == 0)].fetch_add(1, Ordering::Relaxed);
            }
        }
        self.set_time(said.last().map(|said| said.now_ms));
    }

    fn set_time(&self, server: Option<i64>) {
        if let Some(server) = server {
            self.ahead_ms.store(server.saturating_sub(own_ms()), Ordering::Relaxed);
        }
    }
}

/// This machine's time, in milliseconds since 1970.
fn own_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
