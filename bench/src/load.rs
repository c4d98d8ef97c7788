//! Connections that each send the next request when the last is answered, all on this thread; at an offered rate, not before
//! the next request is due.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::connection::{Answer, Connection};
use crate::peer::Peer;
use crate::prompt::Prompt;
use crate::stats::percentile;

/// How much is asked, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) prompt: Prompt,
    pub(crate) connections: usize,
    /// Requests that are due a second, on all connections together; `None`: each as soon as the last is answered.
    pub(crate) rate: Option<f64>,
    /// What counts; before it, a fifth of it more that does not.
    pub(crate) time: Duration,
}

/// What was seen in the time that counts.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) answers: usize,
    /// Of these, those that something else decided than what should have.
    pub(crate) undecided: usize,
    seconds: f64,
    cpu_seconds: f64,
    user_seconds: f64,
    whole: Vec<u64>,
    first: Vec<u64>,
    events: Vec<u64>,
}

impl Seen {
    pub(crate) fn per_second(&self) -> f64 {
        self.answers as f64 / self.seconds
    }

    /// Of the process that was asked, in microseconds an answer.
    pub(crate) fn cpu_micros(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.answers.max(1) as f64
    }

    /// The same, outside of the kernel.
    pub(crate) fn user_micros(&self) -> f64 {
        self.user_seconds * 1e6 / self.answers.max(1) as f64
    }

    /// The same, in the kernel.
    pub(crate) fn system_micros(&self) -> f64 {
        self.cpu_micros() - self.user_micros()
    }

    /// Microseconds from request to whole answer.
    pub(crate) fn whole(&self, share: f64) -> f64 {
        percentile(&self.whole, share) / 1e3
    }

    /// Microseconds from request to first event.
    pub(crate) fn first(&self, share: f64) -> f64 {
        percentile(&self.first, share) / 1e3
    }

    /// Microseconds that an event was under way.
    pub(crate) fn event(&self, share: f64) -> f64 {
        percentile(&self.events, share) / 1e3
    }

    fn add(&mut self, answer: Answer) {
        self.answers += 1;
        self.undecided += usize::from(answer.undecided);
        self.whole.push(answer.whole);
        if answer.first > 0 {
            self.first.push(answer.first);
        }
        self.events.extend(answer.events);
    }
}

#[derive(Default)]
struct Shared {
    counting: Cell<bool>,
    stop: Cell<bool>,
    seen: RefCell<Seen>,
}

/// Puts the load on `peer`.
///
/// # Errors
/// Where an answer is wrong.
pub(crate) fn put(peer: &Peer, load: Load) -> Result<Seen, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let shared = Rc::new(Shared::default());
    let mut seen = LocalSet::new().block_on(&runtime, async {
        let request: Rc<[u8]> = load.prompt.request(peer.address).into();
        let mut clients = Vec::with_capacity(load.connections);
        let every = load.rate.map(|rate| Duration::from_secs_f64(load.connections as f64 / rate));
        let start = Instant::now();
        for number in 0..load.connections {
            let connection = Connection::open(peer.address).await?;
            let (request, shared) = (Rc::clone(&request), Rc::clone(&shared));
            let due = every.map(|every| Due { next: start + every * number as u32 / load.connections as u32, every });
            clients.push(tokio::task::spawn_local(ask(connection, request, peer.policy, shared, due)));
        }
        tokio::time::sleep(load.time / 5).await;
        let (began, cpu, user) = (Instant::now(), peer.cpu()?, peer.user_share()?);
        shared.counting.set(true);
        tokio::time::sleep(load.time).await;
        shared.counting.set(false);
        let (seconds, cpu) = (began.elapsed().as_secs_f64(), peer.cpu()?.saturating_sub(cpu));
        let user = peer.user_share()?.since(user);
        shared.stop.set(true);
        for client in clients {
            client.await.map_err(|error| error.to_string())?.map_err(|wrong| peer.wrong(&wrong))?;
        }
        let cpu = cpu.as_secs_f64();
        Ok::<Seen, String>(Seen { seconds, cpu_seconds: cpu, user_seconds: cpu * user, ..shared.seen.take() })
    })?;
    for times in [&mut seen.whole, &mut seen.first, &mut seen.events] {
        times.sort_unstable();
    }
    match seen.answers {
        0 => Err(peer.wrong(&format!("nothing was answered in {:?}", load.time))),
        _ => Ok(seen),
    }
}

/// When a connection sends.
struct Due {
    next: Instant,
    every: Duration,
}

impl Due {
    /// Waits for the next turn. Turns that a slow answer took are not made up for.
    async fn wait(&mut self) {
        tokio::time::sleep_until(self.next.into()).await;
        self.next = (self.next + self.every).max(Instant::now());
    }
}

async fn ask(
    mut connection: Connection,
    request: Rc<[u8]>,
    policy: Option<&'static str>,
    shared: Rc<Shared>,
    mut due: Option<Due>,
) -> Result<(), String> {
    while !shared.stop.get() {
        if let Some(due) = &mut due {
            due.wait().await;
        }
        let answer = connection.ask(&request, policy).await?;
        if shared.counting.get() {
            shared.seen.borrow_mut().add(answer);
        }
    }
    Ok(())
}
