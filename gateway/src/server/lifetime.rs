//! How long a connection lives: until it is idle, too old, or the gateway stops. Then it may end its requests, but gets no
//! new ones; HTTP/2 clients get GOAWAY.

use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::on_wake::OnWake;
use crate::net::Activity;

/// When a connection ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    /// How long a connection with streams may have no request. The HTTP library watches the others by itself.
    pub idle: Duration,
    /// Its longest age; `None`: any.
    pub age: Option<Duration>,
    /// How long the last bytes may take to reach the client, once no request is being served.
    pub linger: Duration,
}

/// Serves a connection for its lifetime.
pub(super) async fn serve<C: GracefulConnection>(
    connection: C,
    activity: &Activity,
    lifetime: Lifetime,
    stop: &CancellationToken,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    let over = pin!(async {
        tokio::select! {
            () = stop.cancelled() => {}
            () = over(activity, lifetime) => {}
        }
    });
    let over = OnWake::new(over);
    tokio::select! {
        biased;
        ended = &mut connection => return ended,
        () = over => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        ended = connection => ended,
        // A client that never takes the last bytes does not keep the connection.
        () = idle(activity, lifetime.linger) => Ok(()),
    }
}

/// Waits until the connection has been idle or is too old.
async fn over(activity: &Activity, lifetime: Lifetime) {
    let until_idle = async {
        loop {
            idle(activity, lifetime.idle).await;
            if activity.is_multiplexed() {
                return;
            }
        }
    };
    match lifetime.age {
        // One timer is enough: a look at the wrong time does no harm.
        Some(age) => {
            let _ = tokio::time::timeout_at(Instant::now() + jittered(age), until_idle).await;
        }
        None => until_idle.await,
    }
}

/// Waits until no request has come nor been served for `time`; notices it at most that much later.
async fn idle(activity: &Activity, time: Duration) {
    let mut requests = u64::MAX;
    loop {
        if !activity.is_busy() && activity.requests() == requests {
            return;
        }
        requests = activity.requests();
        tokio::time::sleep(time).await;
    }
}

/// Up to a tenth less, so that connections that began together do not end together.
fn jittered(age: Duration) -> Duration {
    let tenth = f64::from(RandomState::new().hash_one(0) as u32) / f64::from(u32::MAX) / 10.0;
    age.mul_f64(1.0 - tenth)
}
