//! A progress line on standard error for work that takes longer than a second.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

const SECOND: Duration = Duration::from_secs(1);

/// Does the work. If it takes longer than a second, prints `what`; on a terminal, with the seconds so far.
pub(super) async fn shown<T>(what: &str, work: impl Future<Output = T>) -> T {
    counted(|| what.to_owned(), work).await
}

/// The same with a text that says how far the work is.
pub(super) async fn counted<T>(what: impl Fn() -> String, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let mut seconds = interval_at(began + SECOND, SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (terminal, mut told) = (std::io::stderr().is_terminal(), false);
    let mut work = std::pin::pin!(work);
    let tell = |line: &str| {
        // Ignored: the work continues even if nobody can read the line.
        let _ = std::io::stderr().write_all(line.as_bytes());
    };
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = seconds.tick() => {
                match (terminal, told) {
                    (true, _) => tell(&format!("\r{} … {} s", what(), began.elapsed().as_secs())),
                    (false, false) => tell(&format!("{} …\n", what())),
                    (false, true) => {}
                }
                told = true;
            }
        }
    };
    if told {
        let took = format!("{}: {:.1} s\n", what(), began.elapsed().as_secs_f64());
        tell(&if terminal { format!("\r{took}") } else { took });
    }
    done
}
