//! How many records a second the ledger takes on this disk, for a minute's worth of a large gateway: a reservation and an entry for
//! each request, with the segments, snapshots and compression that they lead to. Prints the rate and what waited at most.

use std::time::{Duration, Instant};

use wasmgate_bench::figures;
use wasmgate_ledger::{Amount, Call, Entry, Ledger, Options, Reserved};

const REQUESTS: u64 = 300_000;
/// Groups that share them.
const GROUPS: u64 = 50;
/// The longest wait for the disk at the end.
const END: Duration = Duration::from_secs(600);

fn main() {
    // In the build folder and not in a folder of temporary files, which may be in memory.
    let folder = std::env::current_exe().expect("a path").with_file_name("ledger-bench");
    let _ = std::fs::remove_dir_all(&folder);
    let (ledger, _) = Ledger::open(&folder, Options::default(), |_| ()).expect("a ledger");
    let began = Instant::now();
    let (mut most, mut held_up) = (0, Duration::ZERO);
    for number in 0..REQUESTS {
        let full = Instant::now();
        while !ledger.has_room() {
            std::thread::yield_now();
        }
        held_up += full.elapsed();
        ledger.reserve(reserved(number), None);
        ledger.append(entry(number));
        most = most.max(ledger.status().waiting());
    }
    assert!(ledger.flush(END), "the disk takes all");
    let took = began.elapsed();
    let status = ledger.status();
    assert_eq!((status.written(), status.lost(), status.errors()), (REQUESTS, 0, 0));
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = (2 * REQUESTS) as f64 / took.as_secs_f64();
    println!(
        "ledger: {rate:.0} records a second, synced; {most} waited at most; the disk held up {held_up:.1?} of {took:.1?}"
    );
    figures::note("ledger.records", rate);
    drop(ledger);
    let began = Instant::now();
    let (ledger, report) = Ledger::open(&folder, Options::default(), |_| ()).expect("a ledger");
    println!("start: {:.1?} for {} bytes of {} segments", began.elapsed(), report.bytes, report.segments);
    drop(ledger);
    let _ = std::fs::remove_dir_all(&folder);
}

fn reserved(number: u64) -> Reserved {
    let Entry { at, request, group, above, key, .. } = entry(number);
    Reserved { at, request, group, above, key, amount: Amount { tokens: 1200, money: 4_500_000 } }
}

fn entry(number: u64) -> Entry {
    let call = Call {
        model: "claude-sonnet".into(),
        backend: "anthropic".into(),
        input: 1000 + number % 700,
        cache_read: number % 3 * 1000,
        output: 200 + number % 311,
        reported: true,
        price: Some([3_000_000_000, 300_000_000, 3_750_000_000, 15_000_000_000]),
        cost: Some(6_000_000 + number),
        ..Call::default()
    };
    Entry {
        at: 1_795_953_600 + number / 1000,
        // As random as a request's id.
        request: format!("{:032x}", u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        group: format!("team-{}", number % GROUPS),
        above: Some(vec!["acme".into()]),
        key: format!("person-{}", number % 997),
        ending: "finished".into(),
        policy: Some("complexity@1.0.0".into()),
        calls: vec![call],
        reserved: None,
    }
}
