//! The threads that serve connections, each with a runtime of its own.
//!
//! A connection stays on its worker with everything that its requests need: timers, connections to backends, the tasks that
//! drive them. Nothing wakes another thread or waits for its lock, which is what moving tasks between threads costs. One
//! loop accepts, and hands each connection to the worker with the fewest: with a listener for each worker (`SO_REUSEPORT`)
//! the kernel would choose by a hash, and a few long connections could all be on one worker; and a second process could
//! take a part of the clients without anybody noticing. The price is that a connection never uses more than one core.

use std::io;
use std::net;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};

use tokio::net::TcpStream;
use tokio::runtime::{self, Handle};
use tokio_util::sync::CancellationToken;

use wasmgate_base::worker;

/// See the module.
#[derive(Debug, Default)]
pub struct Workers {
    /// Empty: the runtime that accepts serves as well.
    own: Vec<Worker>,
    turn: AtomicUsize,
    ended: CancellationToken,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

/// Who serves a connection. It counts as the worker's until this is dropped.
#[derive(Debug)]
pub(super) struct Chosen(Option<(Handle, Counted)>);

/// A socket on its way to the runtime that watches it.
#[derive(Debug)]
pub(super) enum Socket {
    /// It is there.
    Here(TcpStream),
    /// Nobody watches it now.
    Unwatched(net::TcpStream),
}

#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn of(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// No threads of their own: the runtime that accepts connections serves them, on whatever threads it has.
    #[must_use]
    pub fn shared() -> Self {
        Self::default()
    }

    /// Starts so many threads.
    ///
    /// # Errors
    /// If the machine does not allow it.
    pub fn start(count: usize) -> io::Result<Self> {
        let mut workers = Self::default();
        for number in 0..count {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            let (handle, ended) = (runtime.handle().clone(), workers.ended.clone());
            let thread = Builder::new().name(format!("worker-{number}")).spawn(move || {
                worker::enter(number);
                runtime.block_on(ended.cancelled());
                // What still runs on a thread of its own, such as the reading of a large body, is not waited for.
                runtime.shutdown_background();
            })?;
            workers.own.push(Worker { runtime: handle, connections: Arc::default(), thread });
        }
        Ok(workers)
    }

    /// The worker with the fewest connections; of several, each in its turn.
    pub(super) fn next(&self) -> Chosen {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let places = (0..self.own.len()).map(|place| (turn + place) % self.own.len());
        let chosen = places.map(|place| &self.own[place]).min_by_key(|one| one.connections.load(Ordering::Relaxed));
        Chosen(chosen.map(|one| (one.runtime.clone(), Counted::of(&one.connections))))
    }

    /// Ends all tasks that still run on the workers, and waits for their threads.
    pub fn stop(self) {
        self.ended.cancel();
        for one in self.own {
            // A panic of a task ends that task alone.
            let _ = one.thread.join();
        }
    }
}

impl Chosen {
    /// Takes a socket that the current runtime watches.
    pub(super) fn take(&self, stream: TcpStream) -> io::Result<Socket> {
        match &self.0 {
            None => Ok(Socket::Here(stream)),
            Some(_) => stream.into_std().map(Socket::Unwatched),
        }
    }

    /// Runs a task there.
    pub(super) fn spawn(self, task: impl Future<Output = ()> + Send + 'static) {
        match self.0 {
            None => drop(tokio::spawn(task)),
            Some((runtime, counted)) => drop(runtime.spawn(async move {
                task.await;
                drop(counted);
            })),
        }
    }
}

impl Socket {
    /// The socket, watched by the current runtime.
    pub(super) fn open(self) -> io::Result<TcpStream> {
        match self {
            Self::Here(stream) => Ok(stream),
            Self::Unwatched(stream) => TcpStream::from_std(stream),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_goes_to_the_worker_with_the_fewest() {
        let workers = Workers::start(3).unwrap();
        let counts = || workers.own.iter().map(|one| one.connections.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let mut held = (0..6).map(|_| workers.next()).collect::<Vec<_>>();
        assert_eq!(counts(), [2, 2, 2]);
        // Those of the first worker end.
        held.remove(3);
        held.remove(0);
        assert_eq!(counts(), [0, 2, 2]);
        held.extend([workers.next(), workers.next()]);
        assert_eq!(counts(), [2, 2, 2]);
        drop(held);
        workers.stop();
    }

    #[test]
    fn a_task_runs_on_its_worker_and_ends_with_it() {
        let workers = Workers::start(1).unwrap();
        let (say, hear) = std::sync::mpsc::channel();
        struct AtEnd(std::sync::mpsc::Sender<Option<String>>);
        impl Drop for AtEnd {
            fn drop(&mut self) {
                let _ = self.0.send(None);
            }
        }
        workers.next().spawn(async move {
            let end = AtEnd(say);
            let _ = end.0.send(std::thread::current().name().map(str::to_owned));
            std::future::pending::<()>().await;
        });
        assert_eq!(hear.recv().unwrap().as_deref(), Some("worker-0"));
        workers.stop();
        assert_eq!(hear.recv().unwrap(), None);
    }
}
