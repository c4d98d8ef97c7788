//! The process: where it listens, what beats what, what it says at the start, how it ends.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use serde_json::json;
use wasmgate_tests::backend::Backend;
use wasmgate_tests::gateway::{Gateway, run};
use wasmgate_tests::process::binary;

#[test]
fn the_start_says_where_it_listens_who_decides_and_what_to_try() {
    let gateway = Gateway::setup().start();
    gateway.wait_for_log("the last of the start-up lines", |line| {
        line["message"].as_str().is_some_and(|message| message.ends_with("/metrics"))
    });
    let lines = gateway.log();
    let active: Vec<_> = lines.iter().filter(|line| line["message"] == "policy active").collect();
    let hooks: Vec<_> = active.iter().map(|line| line["hook"].as_str().unwrap()).collect();
    assert_eq!(hooks, ["routing", "cost"]);
    for line in active {
        assert_eq!(line["digest"].as_str().unwrap().len(), 64);
        assert!(line["policy"].as_str().unwrap().contains('@'));
    }
    let messages: Vec<_> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
    let tries: Vec<_> =
        messages.iter().filter(|message| message.contains(&format!("curl http://{}", gateway.address))).collect();
    assert_eq!(tries.len(), 2, "{messages:?}");
}

#[test]
fn the_command_that_the_log_suggests_works() {
    let gateway = Gateway::setup().start();
    let line = gateway.wait_for_log("a command to try", |line| {
        line["message"].as_str().is_some_and(|message| message.contains("/api/v1/chat"))
    });
    let command = line["message"].as_str().unwrap().strip_prefix("try: ").unwrap();
    let output = std::process::Command::new("sh").arg("-c").arg(command).output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {command}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(answer["model"], "tinyllama", "{answer}");
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    // An address of the test's own for each source; only the winner is bound.
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (file, environment, flag) = (free(), free(), free());
    let top = format!("listen = {file:?}");
    // Without `--listen`, which the harness adds otherwise.
    let both = Gateway::setup().top(&top).variable("WASMGATE_LISTEN", &environment);
    let gateway = both.argument("--listen").argument(&flag).start();
    assert_eq!(gateway.address.to_string(), flag);
    let gateway = Gateway::setup().top(&top).variable("WASMGATE_LISTEN", &environment).without_listen().start();
    assert_eq!(gateway.address.to_string(), environment);
    let gateway = Gateway::setup().top(&top).without_listen().start();
    assert_eq!(gateway.address.to_string(), file);
}

#[test]
fn whether_it_can_do_its_work_can_be_asked_by_the_program_itself() {
    let gateway = Gateway::setup().start();
    run(&["health", "--url", &format!("http://{}", gateway.address)]).expect(0, &["\"status\":\"healthy\""]);
    let models = format!(
        "[backends.gone]\nkind = \"ollama\"\nurl = {:?}\nprobe_interval_seconds = 1\n[models.gone]\nbackend = \"gone\"",
        Backend::nowhere()
    );
    let gateway = Gateway::setup().models(&models).start();
    gateway.wait_metric("api_gateway_health", &[], 0.0);
    let url = format!("http://{}", gateway.address);
    run(&["health", "--url", &url]).expect(1, &["503", "\"status\":\"unhealthy\""]);
    run(&["health", "--url", &Backend::nowhere()]).expect(1, &["did not answer", "refused"]);
}

#[test]
fn the_environment_may_name_the_file() {
    let gateway = Gateway::setup().guest("decides").by_environment().start();
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "decides@1.0.0");
}

#[test]
fn the_environment_sets_what_is_logged() {
    for (variable, level, logged) in
        [("WASMGATE_LOG", "warn", false), ("RUST_LOG", "warn", false), ("WASMGATE_LOG", "info", true)]
    {
        let gateway = Gateway::setup().variable(variable, &format!("{level},wasmgate=info")).start();
        let _ = gateway.chat("hello").expect(200);
        gateway.wait_metric("api_gateway_requests_total", &[("status", "success")], 1.0);
        if logged {
            gateway.wait_for_ending("finished");
        } else {
            let lines = gateway.log_to_its_end();
            assert!(!lines.iter().any(|line| line.contains("\"request\"")), "{variable}={level}");
        }
    }
    let gateway = Gateway::setup().top("log = { requests = false }").start();
    let _ = gateway.chat("hello").expect(200);
    gateway.wait_metric("api_gateway_requests_total", &[("status", "success")], 1.0);
    assert!(!gateway.log_to_its_end().iter().any(|line| line.contains("\"request\"")));
}

#[test]
fn the_log_can_be_for_people() {
    let setup = Gateway::setup().argument("--log-format").argument("text");
    let process = setup.spawn();
    let line = process.wait_line("listening");
    assert!(!line.starts_with('{') && line.contains("INFO") && line.contains("addr=127.0.0.1:"), "{line}");
    assert!(!line.contains('\u{1b}'), "no colours where nobody looks: {line}");
}

#[test]
fn wrong_usage_ends_with_2() {
    run(&["serve", "--nonsense"]).expect(2, &["--nonsense"]);
    run(&["sevre"]).expect(2, &["serve"]);
    run(&[]).expect(2, &["serve", "check"]);
    run(&["check"]).expect(2, &["--config"]);
    run(&["serve", "--listen", "everywhere"]).expect(2, &["--listen"]);
    run(&["serve", "--config", "/nowhere.toml"]).expect(2, &["/nowhere.toml", "cannot be read"]);
}

#[test]
fn help_and_version_end_with_0() {
    run(&["--help"]).expect(0, &["serve", "check"]);
    run(&["--version"]).expect(0, &["wasmgate 0."]);
    run(&["serve", "--help"])
        .expect(0, &["--config", "--listen", "--log-format", "WASMGATE_CONFIG", "WASMGATE_LISTEN"]);
}

#[test]
fn an_address_in_use_ends_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let exit = Gateway::setup().argument("--listen").argument(&address).refused();
    exit.expect(1, &[&format!("cannot listen on {address} (listen): another process has this port; --listen")]);
    // Nothing else happened.
    assert!(!exit.text().contains("policy placed"), "{}", exit.text());
}

#[test]
fn the_demo_makes_no_folder_if_its_address_is_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let home = tempfile::tempdir().unwrap();
    let exit = Command::new(binary())
        .args(["serve", "--listen", &taken.local_addr().unwrap().to_string()])
        .env("XDG_STATE_HOME", home.path().join("state"))
        .env("XDG_CACHE_HOME", home.path().join("cache"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&exit.stderr).into_owned();
    assert!(exit.status.code() == Some(1) && said.contains("another process has this port"), "{said}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "{said}");
}

#[test]
fn sigterm_ends_with_0_and_sigint_too() {
    let mut gateway = Gateway::setup().start();
    gateway.sigterm();
    gateway.wait_exit().expect(0, &["stopped"]);
    let mut gateway = Gateway::setup().start();
    gateway.process.signal("INT");
    gateway.wait_exit().expect(0, &["stopped"]);
}

#[test]
fn where_addresses_are_scarce_instances_are_made_on_demand() {
    let gateway = Gateway::setup().after("ulimit -v 8000000").start();
    let line = gateway.wait_for_log("about instances", |line| line["message"] == "serving");
    assert_eq!(line["instances"], "on demand");
    for _ in 0..20 {
        let response = gateway.chat("hello").expect(200);
        assert!(response.header("x-wasmgate-policy").starts_with("complexity@"));
    }
    let gateway = Gateway::setup().start();
    assert_eq!(gateway.wait_for_log("about instances", |line| line["message"] == "serving")["instances"], "pooled");
}

#[test]
fn guests_are_bounded_where_instances_are_made_on_demand() {
    for (guest, limits, class) in [
        ("hoards", "", "out_of_memory"),
        ("hoards-table", "memory_bytes = 1048576", "out_of_memory"),
        ("spins", "call_time_ms = 500", "timeout"),
        ("overflows", "", "trap"),
    ] {
        let gateway = Gateway::setup().after("ulimit -v 8000000").guest(guest).limits(limits).start();
        let _ = gateway.chat("hello").expect(200);
        gateway.wait_metric("api_gateway_policy_failures_total", &[("policy", guest), ("reason", class)], 1.0);
    }
}

#[test]
fn without_a_file_the_demonstration_serves() {
    let process = wasmgate_tests::gateway::serve_without_file();
    let answer = process.post("/api/v1/chat", &json!({"prompt": "What is Rust?"})).expect(200).json();
    assert_eq!((&answer["model"], &answer["backend"]), (&json!("tinyllama"), &json!("local-sim")));
    let models = process.get("/api/v1/models").expect(200).json();
    assert_eq!(models["models"].as_array().unwrap().len(), 3);
}

#[test]
fn more_connections_than_allowed_wait_their_turn() {
    let gateway = Gateway::setup().server("max_connections = 1").start();
    let mut first = gateway.connect();
    let _ = first.send(wasmgate_tests::http::request("GET", "/", &[], b"")).response().expect(200);
    let mut second = gateway.connect();
    second.send(wasmgate_tests::http::request("GET", "/", &[], b""));
    drop(first);
    let _ = second.response().expect(200);
}
