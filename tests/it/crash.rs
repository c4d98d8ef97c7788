//! The process killed at any moment of a change: the restart serves the version that was good last, whatever has become
//! of the files. And a disk that stalls holds up nobody.

use std::fs;
use std::process::Command;

use serde_json::Value;
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::guests;
use wasmgate_tests::wait::until;

/// What may serve after a restart. The signal comes a moment after the line that it waited for, so that until the new state
/// is on the disk either may be the last good one.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Serves {
    Either,
    New,
}

#[test]
fn killed_at_any_stage_the_restart_serves_the_last_good_version() {
    let moments = [
        ("\"stage\":\"parsed\"", Serves::Either),
        ("\"stage\":\"admitted\"", Serves::Either),
        ("\"stage\":\"compiled\"", Serves::Either),
        ("\"stage\":\"linked\"", Serves::Either),
        ("\"stage\":\"configured\"", Serves::Either),
        ("\"stage\":\"probed\"", Serves::Either),
        ("policy placed", Serves::Either),
        ("saving a component", Serves::Either),
        ("saving the state", Serves::Either),
        ("state saved", Serves::New),
    ];
    for (moment, serves) in moments {
        // With a cache of its own it also dies while the compiler works, or while its code is put into the cache.
        let setup = Gateway::setup().top("cache_dir = \"cache\"").reloading().variable("WASMGATE_LOG", "debug");
        let gateway = setup.component("live", &guests::build("decides")).start();
        let before = gateway.process.lines().len();
        gateway.put("live.wasm", &guests::build("second"));
        let _ = gateway.process.wait_line_after(before, moment);
        gateway.process.signal("KILL");
        // The file is of no help.
        fs::write(gateway.path("live.wasm"), b"broken in the night").unwrap();
        let gateway = gateway.restart("KILL");
        let decided = gateway.chat("hello").expect(200).header("x-wasmgate-policy").to_owned();
        let allowed = match serves {
            Serves::Either => ["decides@1.0.0", "second@1.0.0"].as_slice(),
            Serves::New => &["second@1.0.0"],
        };
        assert!(allowed.contains(&&*decided), "killed at {moment}: {decided}");
        assert_eq!(gateway.place("routing")["refused"]["stage"], "parsed", "killed at {moment}");
        // And it takes in what comes next.
        gateway.put("live.wasm", &guests::build("passes"));
        gateway.wait_metric("api_gateway_policy_info", &[("policy", "passes"), ("mode", "active")], 1.0);
    }
}

#[test]
fn killed_while_it_is_written_a_state_is_the_old_or_the_new_one() {
    // Each round is killed a little later into the work of an operator's command.
    for round in 0..20 {
        let gateway = Gateway::setup().reloading().component("live", &guests::build("decides")).start();
        gateway.put("live.wasm", &guests::build("second"));
        gateway.wait_policy("second@1.0.0");
        let mut admin = wasmgate_tests::http::Client::connect(gateway.admin);
        admin.send(wasmgate_tests::http::request_to(
            &gateway.admin.to_string(),
            "POST",
            "/policies/routing/rollback",
            &[("content-type", "application/json")],
            b"{}",
        ));
        for _ in 0..round {
            let _ = gateway.get("/health");
        }
        gateway.process.signal("KILL");
        fs::remove_file(gateway.path("live.wasm")).unwrap();
        let gateway = gateway.restart("KILL");
        let decided = gateway.chat("hello").expect(200).header("x-wasmgate-policy").to_owned();
        assert!(["decides@1.0.0", "second@1.0.0"].contains(&&*decided), "round {round}: {decided}");
    }
}

#[test]
fn a_disk_that_stalls_holds_up_neither_swaps_nor_operators() {
    let setup = Gateway::setup().top("state_dir = \"state\"").reloading();
    let gateway = setup.component("live", &guests::build("decides")).start();
    // What the gateway writes its state to waits until somebody reads it.
    let folder = fs::read_dir(gateway.path("state")).unwrap().next().unwrap().unwrap().path();
    let stalled = folder.join(".state.json.new");
    assert!(Command::new("mkfifo").arg(&stalled).status().unwrap().success());
    for guest in ["second", "passes", "second"] {
        gateway.put("live.wasm", &guests::build(guest));
        let _ = gateway.wait_place("routing", guest, |place| place["serving"]["policy"] == guest);
    }
    // Also what is not on the disk yet can be gone back to.
    gateway.policies(&["rollback", "routing"]).expect(0, &["passes@1.0.0"]);
    gateway.policies(&["rollback", "routing"]).expect(0, &["decides@1.0.0"]);
    // It goes on: what could not be written is written a little later, without another change.
    let before = gateway.process.lines().len();
    let _ = fs::read(&stalled).unwrap();
    let _ = gateway.process.wait_line_after(before, "cannot be saved");
    until("what serves is kept", || {
        let state: Value = serde_json::from_slice(&fs::read(folder.join("state.json")).ok()?).ok()?;
        // It served at first, too; now something else is set aside for it.
        state["places"]["routing"]["aside"].is_object().then_some(())
    });
    let gateway = gateway.restart("KILL");
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "decides@1.0.0");
}

#[test]
fn a_second_gateway_on_the_same_state_reads_it_and_leaves_it_as_it_is() {
    let mut first = Gateway::setup().component("live", &guests::build("decides")).start();
    fs::write(first.path("upload.wasm"), guests::build("second")).unwrap();
    let file = first.path("upload.wasm").display().to_string();
    first.policies(&["upload", "routing", &file]).expect(0, &["second@1.0.0"]);
    until("the upload is kept", || {
        let state = fs::read_dir(first.path("state/wasmgate")).ok()?.next()?.ok()?.path().join("state.json");
        fs::read_to_string(state).ok()?.contains("\"second\"").then_some(())
    });
    let second = first.beside();
    let line = second.process.wait_line("the state cannot be saved");
    assert!(line.contains("another gateway with this configuration holds") && line.contains("state_dir"), "{line}");
    assert_eq!(second.chat("hello").expect(200).header("x-wasmgate-policy"), "second@1.0.0", "it reads the state");
    // What an operator does there ends with the process.
    second.policies(&["disable", "cost"]).expect(0, &["disabled"]);
    second.policies(&["rollback", "routing"]).expect(0, &["decides@1.0.0"]);
    second.sigterm();
    drop(second);
    first = first.restart("TERM");
    assert_eq!(first.chat("hello").expect(200).header("x-wasmgate-policy"), "second@1.0.0");
    assert_eq!(first.place("cost")["state"], "serving");
}

#[test]
fn folders_that_are_deleted_while_it_serves_are_made_anew_and_it_says_what_is_lost() {
    let setup = Gateway::setup().top("cache_dir = \"cache\"\nstate_dir = \"state\"").reloading();
    let gateway = setup.component("live", &guests::build("decides")).start();
    let saved = |policy: &str| {
        until("the state is saved", || {
            let folder = fs::read_dir(gateway.path("state")).ok()?.next()?.ok()?.path();
            let state = fs::read_to_string(folder.join("state.json")).ok()?;
            state.contains(&format!("\"{policy}\"")).then_some(())
        });
    };
    saved("decides");
    fs::remove_dir_all(gateway.path("state")).unwrap();
    fs::remove_dir_all(gateway.path("cache")).unwrap();
    gateway.put("live.wasm", &guests::build("second"));
    gateway.wait_policy("second@1.0.0");
    let line = gateway.wait_for_log("the loss", |line| {
        line["message"].as_str().is_some_and(|message| message.contains("deleted while the gateway served"))
    });
    assert!(line["folder"].as_str().unwrap().contains("state"), "{line}");
    let lines = gateway.log();
    let failed = lines.iter().find(|line| {
        line["message"].as_str().is_some_and(|text| text.contains("cannot be saved") || text.contains("cannot store"))
    });
    assert!(failed.is_none(), "{failed:?}");
    assert!(fs::read_dir(gateway.path("cache")).unwrap().next().is_some(), "the cache is used again");
    // What serves now survives a restart without its file.
    saved("second");
    fs::write(gateway.path("live.wasm"), b"broken in the night").unwrap();
    let gateway = gateway.restart("KILL");
    assert_eq!(gateway.chat("hello").expect(200).header("x-wasmgate-policy"), "second@1.0.0");
}
