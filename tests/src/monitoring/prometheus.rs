//! A real Prometheus server, and what its API says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::Server;
use super::shipped::Shipped;
use crate::http::{Client, Response, request_to};
use crate::wait::{until, until_slowly};

/// A server over a folder of its own.
#[derive(Debug)]
pub struct Prometheus {
    /// What it can be asked.
    pub api: Api,
    /// The process.
    pub server: Server,
    folder: TempDir,
}

/// What a server that runs can be asked.
#[derive(Debug, Clone, Copy)]
pub struct Api {
    /// Where it listens.
    pub address: SocketAddr,
}

/// One series of an answer: labels, and points of time (seconds since 1970) and value.
#[derive(Debug, Clone)]
pub struct Series {
    /// Without the metric's name.
    pub labels: BTreeMap<String, String>,
    /// In order of time; one where the query was for an instant.
    pub points: Vec<(f64, f64)>,
}

/// Where what Prometheus asks is to be found.
#[derive(Debug, Default, Clone)]
pub struct Addresses {
    /// The gateway, as host and port.
    pub gateway: String,
    /// The URL of Ollama.
    pub ollama: String,
    /// The blackbox exporter, as host and port.
    pub blackbox: String,
    /// The node exporter, as host and port.
    pub node: String,
    /// Alertmanager, as host and port.
    pub alertmanager: String,
}

/// Nothing listens on this port: what is not there in a test is as if it were down.
const NOWHERE: &str = "127.0.0.1:9";

impl Addresses {
    /// The shipped configuration with these addresses and spans that a test can wait for.
    #[must_use]
    pub fn configuration(&self) -> Shipped {
        let or_nowhere = |address: &str| if address.is_empty() { NOWHERE.to_owned() } else { address.to_owned() };
        Shipped::read("prometheus/prometheus.yml")
            .with("api-gateway:8080", &or_nowhere(&self.gateway))
            .with(
                "http://ollama-cpu:11434/",
                &if self.ollama.is_empty() { format!("http://{NOWHERE}/") } else { self.ollama.clone() },
            )
            .with("blackbox:9115", &or_nowhere(&self.blackbox))
            .with("node-exporter:9100", &or_nowhere(&self.node))
            .with("alertmanager:9093", &or_nowhere(&self.alertmanager))
            .faster()
    }
}

impl Prometheus {
    /// Starts it with the shipped configuration and rules.
    ///
    /// # Panics
    /// Where it does not take them.
    #[must_use]
    pub fn start(addresses: &Addresses) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        for rules in ["prometheus/alert.rules.yml", "prometheus/recording.rules.yml"] {
            Shipped::read(rules).faster().write(folder.path());
        }
        let configuration = addresses.configuration();
        configuration.write(folder.path());
        let prometheus = Self::over(folder, "data");
        // It watches itself too, and only now knows where.
        configuration.with("localhost:9090", &prometheus.server.address.to_string()).write(prometheus.folder());
        assert_eq!(prometheus.api.reload(), 200, "the configuration is taken in");
        prometheus
    }

    /// Starts it over data that are there, scraping nothing.
    ///
    /// # Panics
    /// Where its files cannot be written.
    #[must_use]
    pub fn restored(folder: TempDir, data: &str) -> Self {
        std::fs::write(folder.path().join("prometheus.yml"), "global: {}\n").expect("a file in a temporary folder");
        Self::over(folder, data)
    }

    fn over(folder: TempDir, data: &str) -> Self {
        let server = Server::start("prometheus", |command| {
            command
                .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
                .arg(format!("--storage.tsdb.path={}", folder.path().join(data).display()))
                .args(["--web.enable-lifecycle", "--web.enable-admin-api"]);
        });
        let api = Api { address: server.address };
        until("Prometheus is ready", || (api.get("/-/ready").status() == 200).then_some(()));
        Self { api, server, folder }
    }

    /// The folder of its configuration, with its data in `data`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Api {
    /// Its base address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes in the configuration as it now is; the status of the answer.
    #[must_use]
    pub fn reload(&self) -> u16 {
        self.send("POST", "/-/reload", "").status()
    }

    /// The value of a query now.
    #[must_use]
    pub fn query(&self, query: &str) -> Vec<Series> {
        self.ask("/api/v1/query", &[("query", query)]).unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// The only value of a query now; `None` where there is none, or more.
    #[must_use]
    pub fn value(&self, query: &str) -> Option<f64> {
        match self.query(query).as_slice() {
            [only] => Some(only.points[0].1),
            _ => None,
        }
    }

    /// The series of an answer.
    ///
    /// # Errors
    /// Where the query is refused: what the server says.
    pub fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Vec<Series>, String> {
        let form: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let answer = self.send("POST", path, &form.join("&")).json();
        match answer["status"].as_str() {
            Some("success") => Ok(series(&answer["data"])),
            _ => Err(answer["error"].as_str().unwrap_or_default().to_owned()),
        }
    }

    /// The names of the alerts that fire, each once.
    #[must_use]
    pub fn firing(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .query("ALERTS{alertstate=\"firing\"}")
            .into_iter()
            .map(|mut series| series.labels.remove("alertname").unwrap_or_default())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Waits until each target of these jobs was scraped well.
    pub fn wait_up(&self, jobs: &[&str]) {
        for job in jobs {
            until_slowly(&format!("{job} is scraped"), || {
                (self.value(&format!("min(up{{job=\"{job}\"}})")) == Some(1.0)).then_some(())
            });
        }
    }

    /// The answer to a GET.
    #[must_use]
    pub fn get(&self, path: &str) -> Response {
        self.send("GET", path, "")
    }

    fn send(&self, method: &str, path: &str, form: &str) -> Response {
        let host = self.address.to_string();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        Client::connect(self.address).send(request_to(&host, method, path, &headers, form.as_bytes())).response()
    }
}

/// A value of a form: every byte that is no letter or digit is escaped.
fn encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn series(data: &Value) -> Vec<Series> {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
    let point = |point: &Value| (point[0].as_f64().unwrap_or_default(), number(&point[1]));
    if data["resultType"] == "scalar" {
        return vec![Series { labels: BTreeMap::new(), points: vec![point(&data["result"])] }];
    }
    let results = data["result"].as_array().into_iter().flatten();
    let one = |result: &Value| {
        let labels = result["metric"].as_object().into_iter().flatten();
        let labels = labels.filter(|(name, _)| *name != "__name__");
        Series {
            labels: labels.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().into())).collect(),
            points: match &result["values"] {
                Value::Array(points) => points.iter().map(point).collect(),
                _ => vec![point(&result["value"])],
            },
        }
    };
    results.map(one).collect()
}
