//! A mail server that keeps what it is sent. As much of SMTP as a client needs that sends plainly.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use crate::wait::Shared;

/// The server. Stops when dropped.
#[derive(Debug)]
pub struct Mailbox {
    address: SocketAddr,
    inbox: Arc<Shared<Inbox>>,
}

#[derive(Debug, Default)]
struct Inbox {
    mails: Vec<String>,
    stopping: bool,
}

impl Mailbox {
    /// Serves on a free port of the loopback interface.
    ///
    /// # Panics
    /// Where no port can be had.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().unwrap();
        let inbox = Arc::new(Shared::new(Inbox::default()));
        let shared = Arc::clone(&inbox);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.with(|inbox| inbox.stopping) {
                    return;
                }
                let inbox = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // A client that leaves early has sent no mail.
                    let _ = serve(&stream, &inbox);
                });
            }
        });
        Self { address, inbox }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The mails so far: headers and body.
    #[must_use]
    pub fn mails(&self) -> Vec<String> {
        self.inbox.with(|inbox| inbox.mails.clone())
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.inbox.with(|inbox| inbox.stopping = true);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: &TcpStream, inbox: &Shared<Inbox>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    stream.write_all(b"220 mailbox\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        let command = line.to_ascii_uppercase();
        if command.starts_with("EHLO") {
            stream.write_all(b"250-mailbox\r\n250 AUTH PLAIN LOGIN\r\n")?;
        } else if command.starts_with("AUTH") {
            stream.write_all(b"235 welcome\r\n")?;
        } else if command == "DATA" {
            stream.write_all(b"354 go on\r\n")?;
            let mut mail = String::new();
            while let Some(line) = lines.next().transpose()? {
                if line == "." {
                    break;
                }
                // The client doubles a dot with which a line begins.
                mail += line.strip_prefix('.').unwrap_or(&line);
                mail.push('\n');
            }
            inbox.with(|inbox| inbox.mails.push(mail));
            stream.write_all(b"250 kept\r\n")?;
        } else if command == "QUIT" {
            return stream.write_all(b"221 bye\r\n");
        } else {
            stream.write_all(b"250 well\r\n")?;
        }
    }
    Ok(())
}
