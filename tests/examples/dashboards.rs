//! Draws both dashboards with real data into a page, and pictures of them next to it: `dashboards PAGE [PROMETHEUS]`. Without
//! a Prometheus of the caller's, it watches a gateway of its own under mixed load for half a minute.

use std::net::ToSocketAddrs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmgate_tests::monitoring::dashboards::View;
use wasmgate_tests::monitoring::prometheus::Api;
use wasmgate_tests::monitoring::stack::Stack;
use wasmgate_tests::monitoring::{mixed, preview};

/// What is shown of the caller's own Prometheus: the last hours, in seconds.
const HOURS: f64 = 6.0 * 3600.0;
/// Of the pictures, in CSS pixels.
const WIDTH: u32 = 1440;
/// How long a gateway of our own is watched.
const WATCHED: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let page = match arguments.as_slice() {
        [path] => Ok((path, of_our_own())),
        [path, url] => of(url).map(|page| (path, page)),
        _ => Err("usage: dashboards PAGE [http://HOST:PORT of a Prometheus]".into()),
    };
    let written = page.and_then(|(path, page)| match std::fs::write(path, page) {
        Ok(()) => Ok(path),
        Err(error) => Err(format!("{path}: {error}")),
    });
    match written {
        Ok(path) => {
            println!("{path}: open it in a browser");
            pictures(Path::new(path))
        }
        Err(error) => {
            eprintln!("dashboards: {error}");
            ExitCode::from(2)
        }
    }
}

/// Fails where the browser had something to say of the page.
fn pictures(page: &Path) -> ExitCode {
    let folder = page.parent().unwrap_or(Path::new(""));
    let seen = preview::shown(page, WIDTH, folder);
    println!("{}: pictures of both", folder.display());
    let failures = seen["failures"].as_array().into_iter().flatten();
    let failures: Vec<&str> = failures.filter_map(|failure| failure.as_str()).collect();
    if failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("dashboards: {}", failures.join("\n"));
    ExitCode::FAILURE
}

fn of_our_own() -> String {
    let stack = Stack::start(mixed::setup);
    let load = mixed::traffic(&stack.gateway);
    let from = now();
    std::thread::sleep(WATCHED / 2);
    mixed::reload(&stack.gateway);
    std::thread::sleep(WATCHED / 2);
    let page = preview::page(stack.prometheus.api, &View { from, to: now(), step: 1.0, rate_interval: "5s".into() });
    drop(load);
    page
}

fn of(url: &str) -> Result<String, String> {
    let host = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let addresses = host.to_socket_addrs().map_err(|error| format!("{url}: {error}; expected http://HOST:PORT"))?;
    let address = addresses.into_iter().next().ok_or_else(|| format!("{url} has no address"))?;
    let to = now();
    // Four scrapes, as Grafana takes it for the interval that the provisioned data source states.
    let view = View { from: to - HOURS, to, step: 60.0, rate_interval: "1m".into() };
    Ok(preview::page(Api { address }, &view))
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
