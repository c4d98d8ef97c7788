//! The task that tells and asks the server of `[shared]` about keys and groups.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use wasmgate_base::log_limit::LogLimit;
use wasmgate_shared::{ENTRIES_TOGETHER, Entries, Server, Shared};

use super::ManagedAccounts;
use super::api::NotDone;
use super::mark::REMEMBERED;
use super::spread::Spread;

/// The set of entries in the server.
const SET: &str = "accounts";
/// How often the gateway asks what others have told.
const LOOK: Duration = Duration::from_millis(250);
/// The first pause between two attempts to connect, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];
/// How long a server that may have lost its memory is given until the gateways that know most have told it: until then nothing is
/// told that was changed apart from them.
const SETTLES: Duration = Duration::from_secs(3);
/// How long the end of the gateway waits for a last round.
const LAST: Duration = Duration::from_secs(1);

/// What the gateway knows of the server.
#[derive(Debug, Default)]
struct Known {
    /// The run of the server, and the set of entries. `None`: everything is to be compared.
    run: Option<String>,
    born: Option<i64>,
    /// The last change that was taken.
    through: u64,
}

/// Exchanges keys and groups with the other gateways until `ended`.
pub async fn run(accounts: Arc<ManagedAccounts>, shared: Arc<Shared>, ended: CancellationToken) {
    let settings = shared.settings();
    let (mut known, mut pause, lines) = (Known::default(), PAUSES[0], LogLimit::default());
    let remembered = Duration::from_secs(REMEMBERED);
    loop {
        let set = (&*settings.prefix, SET);
        let opened = tokio::select! {
            () = ended.cancelled() => return,
            opened = Entries::open(&settings.address, settings.deadline, set, remembered) => opened,
        };
        let error = match opened {
            Ok((link, server)) => {
                if server.run.is_none() || server.run != known.run {
                    known = Known { run: server.run.clone(), ..Known::default() };
                }
                match exchange(&accounts, &shared, (&link, &server), &mut known, &ended).await {
                    Ok(()) => return,
                    Err(error) => error,
                }
            }
            Err(fault) => fault.to_string(),
        };
        let was_reached = accounts.spread.set_reached(false);
        accounts.spread.show(&shared);
        pause = if was_reached { PAUSES[0] } else { (2 * pause).min(PAUSES[1]) };
        if let Some(suppressed) = lines.admit() {
            let untold = accounts.spread.untold();
            tracing::warn!(
                error,
                untold,
                suppressed,
                "keys and groups are not exchanged with other gateways; changes made here count here, and are sent later"
            );
        }
        tokio::select! {
            () = ended.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Exchanges on one connection.
async fn exchange(
    accounts: &Arc<ManagedAccounts>,
    shared: &Shared,
    (link, server): (&Entries, &Server),
    known: &mut Known,
    ended: &CancellationToken,
) -> Result<(), String> {
    let began = Instant::now().checked_sub(server.uptime).unwrap_or_else(Instant::now);
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let is_last = tokio::select! {
            biased;
            () = ended.cancelled() => true,
            _ = look.tick() => false,
            () = accounts.spread.wake.notified() => false,
        };
        if accounts.is_follower() {
            // The gateway that keeps the folder exchanges. This one compares everything when it takes over.
            known.born = None;
            accounts.spread.set_reached(false);
        } else {
            accounts.spread.begin_round();
            let round = round(accounts, link, known, began);
            if is_last {
                let _ = tokio::time::timeout(LAST, round).await;
            } else {
                round.await?;
                accounts.spread.end_round();
                accounts.spread.show(shared);
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Asks what others have told, and tells what is due.
async fn round(
    accounts: &Arc<ManagedAccounts>,
    link: &Entries,
    known: &mut Known,
    began: Instant,
) -> Result<(), String> {
    let mut page = link.read(known.through).await.map_err(|fault| fault.to_string())?;
    let is_new = known.born != Some(page.born) || page.changed < known.through || accounts.is_away();
    let mut seen = is_new.then(HashSet::new);
    if is_new && known.through > 0 {
        page = link.read(0).await.map_err(|fault| fault.to_string())?;
    }
    // If this round fails, the next one compares everything too.
    let born = page.born;
    known.born = known.born.filter(|_| !is_new);
    loop {
        if let Some(seen) = &mut seen {
            seen.extend(page.entries.iter().map(|entry| entry.name.clone()));
        }
        let (through, is_full) = (page.through, page.entries.len() == ENTRIES_TOGETHER);
        let entries = page.entries;
        if !entries.is_empty() {
            blocking(accounts, move |accounts| accounts.take(&entries)).await?;
        }
        known.through = through;
        if !is_full {
            break;
        }
        page = link.read(through).await.map_err(|fault| fault.to_string())?;
    }
    if let Some(seen) = seen {
        blocking(accounts, move |accounts| accounts.compared(&seen)).await?;
        known.born = Some(born);
    }
    let age = Duration::from_millis(u64::try_from(page.now - born).unwrap_or_default());
    tell(accounts, link, began.elapsed().min(age) >= SETTLES).await?;
    blocking(accounts, ManagedAccounts::synced).await
}

async fn tell(accounts: &Arc<ManagedAccounts>, link: &Entries, settled: bool) -> Result<(), String> {
    while accounts.spread.untold() > 0 {
        let due = blocking(accounts, move |accounts| accounts.due(settled)).await?;
        if due.is_empty() {
            break;
        }
        let answers = link.write(&due).await.map_err(|fault| fault.to_string())?;
        blocking(accounts, move |accounts| accounts.answered(&due, answers)).await?;
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    accounts: &Arc<ManagedAccounts>,
    act: impl FnOnce(&ManagedAccounts) -> Result<T, NotDone> + Send + 'static,
) -> Result<T, String> {
    let accounts = Arc::clone(accounts);
    let done = tokio::task::spawn_blocking(move || act(&accounts)).await;
    done.map_err(|_ended| "the gateway is stopping".to_owned())?.map_err(|not_done| format!("{not_done:?}"))
}

impl Spread {
    /// Notes whether the server answers. Returns whether it did.
    fn set_reached(&self, reached: bool) -> bool {
        let mut before = false;
        self.rounds.send_if_modified(|rounds| {
            before = std::mem::replace(&mut rounds.reached, reached);
            before != reached
        });
        before
    }

    fn show(&self, shared: &Shared) {
        shared.note_entries(self.untold(), self.conflicts());
    }

    fn begin_round(&self) {
        self.rounds.send_modify(|rounds| rounds.begun += 1);
    }

    fn end_round(&self) {
        self.rounds.send_modify(|rounds| rounds.done = rounds.begun);
        if !self.set_reached(true) {
            tracing::info!(untold = self.untold(), "keys and groups are exchanged with other gateways");
        }
    }
}
