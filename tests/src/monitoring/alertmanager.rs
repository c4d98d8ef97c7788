//! A real Alertmanager with the shipped configuration, and the two ends of what it sends: a mailbox, and a web hook that is
//! spoken to as Slack's is.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::Server;
use super::shipped::Shipped;
use super::smtp::Mailbox;
use crate::backend::{Backend, Reply};
use crate::http::{Client, request_to};

/// Alertmanager and its receivers.
#[derive(Debug)]
pub struct Alertmanager {
    /// The process and its address.
    pub server: Server,
    slack: Backend,
    mailbox: Mailbox,
    _folder: TempDir,
}

/// What somebody was told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// A channel's name, or an address of e-mail.
    pub to: String,
    /// Its alert.
    pub alert: String,
    /// Whether it was told that all is well again.
    pub resolved: bool,
    /// What the message says.
    pub text: String,
}

impl Alertmanager {
    /// Starts it with the shipped configuration.
    ///
    /// # Panics
    /// Where its files cannot be written.
    #[must_use]
    pub fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let slack = Backend::start(|_| Reply::whole(200, "text/plain", b"ok"));
        let mailbox = Mailbox::start();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).expect("a file in a temporary folder");
            path.display().to_string()
        };
        let hook = file("slack_webhook_url", &format!("{}/services/hook\n", slack.url()));
        let password = file("smtp_password", "a password\n");
        Shipped::read("alertmanager/config.yml")
            .with("/etc/alertmanager/secrets/slack_webhook_url", &hook)
            .with("/etc/alertmanager/secrets/smtp_password", &password)
            // The mailbox has no certificate.
            .with("'smtp.example.com:587'", &format!("'{}'\n  smtp_require_tls: false", mailbox.address()))
            .faster()
            .write(folder.path());
        Shipped::read("alertmanager/messages.tmpl").write(folder.path());
        let server = Server::start("prometheus-alertmanager", |command| {
            command
                .arg(format!("--config.file={}", folder.path().join("config.yml").display()))
                .arg(format!("--storage.path={}", folder.path().join("data").display()))
                .args(["--cluster.listen-address=", "--log.level=info"]);
        });
        Self { server, slack, mailbox, _folder: folder }
    }

    /// All that was told so far.
    #[must_use]
    pub fn told(&self) -> BTreeSet<Told> {
        let slack = self.slack.requests();
        let slack = slack.iter().filter_map(|request| told_by_slack(&request.json()));
        slack.chain(self.mailbox.mails().iter().filter_map(|mail| told_by_mail(mail))).collect()
    }

    /// The texts of all that was told so far, for people to look at.
    #[must_use]
    pub fn texts(&self) -> String {
        let slack: Vec<String> = self.slack.requests().iter().map(|request| request.json().to_string()).collect();
        format!("{}\n{}", slack.join("\n"), self.mailbox.mails().join("\n"))
    }

    /// The alerts that hold and are kept back because of others.
    #[must_use]
    pub fn inhibited(&self) -> BTreeSet<String> {
        let host = self.server.address.to_string();
        let request = request_to(&host, "GET", "/api/v2/alerts", &[], b"");
        let alerts = Client::connect(self.server.address).send(request).response().json();
        let alerts = alerts.as_array().cloned().unwrap_or_default();
        let inhibited = |alert: &&Value| alert["status"]["inhibitedBy"].as_array().is_some_and(|by| !by.is_empty());
        let name = |alert: &Value| alert["labels"]["alertname"].as_str().map(str::to_owned);
        alerts.iter().filter(inhibited).filter_map(name).collect()
    }
}

/// Slack's form: a channel, and attachments with a title, a text and a colour.
fn told_by_slack(message: &Value) -> Option<Told> {
    let attachment = &message["attachments"][0];
    Some(Told {
        to: message["channel"].as_str()?.to_owned(),
        alert: alert_in(attachment["title"].as_str()?),
        resolved: attachment["color"] == "good",
        text: format!("{}\n{}", attachment["title"].as_str()?, attachment["text"].as_str()?),
    })
}

fn told_by_mail(mail: &str) -> Option<Told> {
    let header = |name: &str| mail.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let subject = header("Subject:")?;
    // Its lines are broken after a `=`.
    let text = mail.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    let resolved = subject.starts_with("Resolved");
    Some(Told { to: header("To:")?.to_owned(), alert: alert_in(subject), resolved, text })
}

/// The alert that a title names: the word that is a runbook's.
fn alert_in(title: &str) -> String {
    let runbooks = super::repository("monitoring/runbooks");
    let is_alert = |word: &&str| !word.is_empty() && runbook(&runbooks, word);
    title.split(|letter: char| !letter.is_alphanumeric()).find(is_alert).unwrap_or(title).to_owned()
}

fn runbook(folder: &Path, alert: &str) -> bool {
    folder.join(format!("{alert}.md")).is_file()
}
