//! Components that misbehave, made from a few lines of text each.
//!
//! A guest is `guests/NAME.wat`: fields of a core module, put behind a prelude that has what every policy needs. Where
//! the guest does not define them itself, `$describe` names it after its file, `$configure` is content, and `$route`
//! (or, where it says `;; world: cost-policy`, `$estimate`) takes the first candidate.
//!
//! What the prelude gives: memory, an allocator (`$alloc`) that forgets everything after each call, `$is_probe`
//! (whether a request is one of the samples that the gateway shows a policy when it loads it, by the length of its id),
//! `$text` and `$text_length` (the newest message), and the answers `$decide`, `$refuse`, `$fail`.

use std::path::PathBuf;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Offsets are those of the canonical ABI for the records of version 1.0.0 of the contract; the encoder checks the functions' types
/// against the contract, the tests check the rest.
const PRELUDE: &str = r#"
(import "wasmgate:policy/log@1.0.0" "write" (func $log (param i32 i32 i32)))
(memory $memory (export "memory") 2)
(global $heap (mut i32) (i32.const 65536))
;; 1024: what the function under way answers; 64: the name, 192: the version.
(data (i32.const 64) "NAME")
(data (i32.const 192) "1.0.0")
(data (i32.const 256) "as told")

(func $alloc (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
    (result i32)
    (local $at i32)
    (local.set $at (i32.and
        (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
        (then (drop (memory.grow (i32.add (i32.const 1) (i32.shr_u
            (i32.sub (global.get $heap) (i32.mul (memory.size) (i32.const 65536))) (i32.const 16)))))))
    (local.get $at))
(func $forget (param i32) (global.set $heap (i32.const 65536)))

;; Ids of requests are longer than "probe".
(func $is_probe (param $in i32) (result i32) (i32.eq (i32.load offset=4 (local.get $in)) (i32.const 5)))
(func $newest (param $in i32) (result i32)
    (i32.add (i32.load offset=20 (local.get $in))
        (i32.mul (i32.const 12) (i32.sub (i32.load offset=24 (local.get $in)) (i32.const 1)))))
(func $text (param $in i32) (result i32) (i32.load offset=4 (call $newest (local.get $in))))
(func $text_length (param $in i32) (result i32) (i32.load offset=8 (call $newest (local.get $in))))

;; Candidate `$first`, complexity, reason; tier medium.
(func $decide (param $first i32) (param $complexity f64) (param $reason i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.store8 (i32.const 1032) (i32.const 0))
    (i32.store (i32.const 512) (local.get $first))
    (i32.store (i32.const 1040) (i32.const 512))
    (i32.store (i32.const 1044) (i32.const 1))
    (i32.store8 (i32.const 1048) (i32.const 1))
    (f64.store (i32.const 1056) (local.get $complexity))
    (i32.store8 (i32.const 1064) (i32.const 1))
    (i32.store8 (i32.const 1065) (i32.const 1))
    (i32.store (i32.const 1068) (local.get $reason))
    (i32.store (i32.const 1072) (local.get $length))
    (i32.const 1024))
(func $decide_well (result i32) (call $decide (i32.const 0) (f64.const 0.5) (i32.const 256) (i32.const 7)))
;; A denial with this code and reason.
(func $refuse (param $code i32) (param $code_length i32) (param $reason i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.store8 (i32.const 1032) (i32.const 1))
    (i32.store (i32.const 1040) (local.get $code))
    (i32.store (i32.const 1044) (local.get $code_length))
    (i32.store (i32.const 1048) (local.get $reason))
    (i32.store (i32.const 1052) (local.get $length))
    (i32.const 1024))
;; An error with this text.
(func $fail (param $text i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 1))
    (i32.store (i32.const 1032) (local.get $text))
    (i32.store (i32.const 1036) (local.get $length))
    (i32.const 1024))
"#;

const DESCRIBE: &str = r"
(func $describe (result i32)
    (i32.store (i32.const 1024) (i32.const 64)) (i32.store (i32.const 1028) (i32.const NAME_LENGTH))
    (i32.store (i32.const 1032) (i32.const 192)) (i32.store (i32.const 1036) (i32.const 5))
    (i32.store (i32.const 1040) (i32.const 256)) (i32.store (i32.const 1044) (i32.const 7))
    (i32.store (i32.const 1048) (i32.const 0)) (i32.store (i32.const 1052) (i32.const 0))
    (i32.const 1024))
";

const CONFIGURE: &str = r"
(func $configure (result i32) (i32.store8 (i32.const 1024) (i32.const 0)) (i32.const 1024))
";

const ROUTE: &str = r"
(func $route (param $in i32) (result i32) (call $decide_well))
";

/// One input token, one output token and one nano-dollar for each candidate.
const ESTIMATE: &str = r"
(func $estimate (param $in i32) (result i32) (call $estimates (i32.load offset=100 (local.get $in)) (i64.const 1)))
";

/// For guests of the cost hook: so many estimates of that cost.
const ESTIMATES: &str = r"
(func $estimates (param $count i32) (param $cost i64) (result i32)
    (local $at i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.store (i32.const 1028) (i32.const 2048))
    (i32.store (i32.const 1032) (local.get $count))
    (local.set $at (i32.const 2048))
    (block $done (loop $each
        (br_if $done (i32.eqz (local.get $count)))
        (i32.store (local.get $at) (i32.const 1))
        (i32.store offset=4 (local.get $at) (i32.const 1))
        (i32.store8 offset=8 (local.get $at) (i32.const 1))
        (i64.store offset=16 (local.get $at) (local.get $cost))
        (local.set $at (i32.add (local.get $at) (i32.const 24)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $each)))
    (i32.const 1024))
";

/// Worlds that ask for more than policies are granted.
const WORLDS: &str = r"
package wasmgate-tests:worlds;
world reaches-out {
    include wasmgate:policy/routing-policy@1.0.0;
    import wasi:http/outgoing@0.2.0;
}
world exits {
    include wasmgate:policy/routing-policy@1.0.0;
    import wasi:cli/exit@0.2.0;
}
world looks-around {
    include wasmgate:policy/routing-policy@1.0.0;
    import wasi:cli/environment@0.2.0;
    import wasi:filesystem/preopens@0.2.0;
    import wasi:clocks/monotonic-clock@0.2.0;
    import wasi:random/random@0.2.0;
}
world asks-for-much {
    include wasmgate:policy/routing-policy@1.0.0;
    import wasi:random/random@0.2.0;
    import wasi:random/insecure@0.2.0;
    import wasi:cli/stdin@0.2.0;
    import wasi:cli/stdout@0.2.0;
    import wasi:io/poll@0.2.0;
    import wasi:io/streams@0.2.0;
    import wasi:clocks/monotonic-clock@0.2.0;
}
package wasi:io@0.2.0 {
    interface error { resource error; }
    interface poll {
        resource pollable;
        poll: func(in: list<borrow<pollable>>) -> list<u32>;
    }
    interface streams {
        use error.{error};
        variant stream-error { last-operation-failed(error), closed }
        resource input-stream {
            read: func(len: u64) -> result<list<u8>, stream-error>;
            skip: func(len: u64) -> result<u64, stream-error>;
        }
        resource output-stream {
            write: func(contents: list<u8>) -> result<_, stream-error>;
            write-zeroes: func(len: u64) -> result<_, stream-error>;
            splice: func(src: borrow<input-stream>, len: u64) -> result<u64, stream-error>;
        }
    }
}
package wasi:http@0.2.0 {
    interface outgoing { send: func(url: string); }
}
package wasi:cli@0.2.0 {
    interface exit { exit: func(status: result); }
    interface environment {
        get-environment: func() -> list<tuple<string, string>>;
        get-arguments: func() -> list<string>;
    }
    interface stdin {
        use wasi:io/streams@0.2.0.{input-stream};
        get-stdin: func() -> input-stream;
    }
    interface stdout {
        use wasi:io/streams@0.2.0.{output-stream};
        get-stdout: func() -> output-stream;
    }
}
package wasi:filesystem@0.2.0 {
    interface types { resource descriptor; }
    interface preopens {
        use types.{descriptor};
        get-directories: func() -> list<tuple<descriptor, string>>;
    }
}
package wasi:clocks@0.2.0 {
    interface monotonic-clock {
        use wasi:io/poll@0.2.0.{pollable};
        now: func() -> u64;
        subscribe-duration: func(when: u64) -> pollable;
    }
}
package wasi:random@0.2.0 {
    interface random {
        get-random-u64: func() -> u64;
        get-random-bytes: func(len: u64) -> list<u8>;
    }
    interface insecure { get-insecure-random-bytes: func(len: u64) -> list<u8>; }
}
";

/// The folder of the guests.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("guests")
}

/// The component of a guest.
///
/// # Panics
/// Where its text is wrong.
#[must_use]
pub fn build(name: &str) -> Vec<u8> {
    let text = source(name);
    let world = marked(&text, "world").unwrap_or("routing-policy");
    let mut module = core_module(name, &text);
    let mut resolve = Resolve::default();
    let contract = folder().join("../../wit/v1");
    let (policy, _) = resolve.push_path(&contract).unwrap_or_else(|error| panic!("the contract: {error:#}"));
    let ours = resolve.push_str("worlds.wit", WORLDS).expect("the worlds of the tests");
    let package = if world.ends_with("-policy") { policy } else { ours };
    let world = resolve.select_world(&[package], Some(world)).expect("a world of that name");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("the world");
    let encoder = ComponentEncoder::default().module(&module).and_then(|encoder| encoder.validate(true).encode());
    encoder.unwrap_or_else(|error| panic!("guest {name}: {error:#}"))
}

/// A guest as a core module: what a build without the component step gives.
#[must_use]
pub fn build_core(name: &str) -> Vec<u8> {
    core_module(name, &source(name))
}

fn source(name: &str) -> String {
    let path = folder().join(format!("{name}.wat"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The value of a line `;; key: value`.
fn marked<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(";; ")?.strip_prefix(key)?.strip_prefix(": "))
}

fn core_module(name: &str, guest: &str) -> Vec<u8> {
    let cost = marked(guest, "world") == Some("cost-policy");
    let (interface, decides) = if cost { ("cost", "estimate") } else { ("routing", "route") };
    // Imports come first in a module.
    let (imports, rest): (Vec<_>, Vec<_>) = guest.lines().partition(|line| line.starts_with("(import "));
    let mut text = format!("(module\n{}\n{}\n", imports.join("\n"), PRELUDE.replace("NAME", name));
    if cost {
        text += ESTIMATES;
    }
    for line in rest {
        text += line;
        text.push('\n');
    }
    let default = if cost { ESTIMATE } else { ROUTE };
    for (function, default) in [("describe", DESCRIBE), ("configure", CONFIGURE), (decides, default)] {
        if !guest.contains(&format!("(func ${function} ")) {
            text += &default.replace("NAME_LENGTH", &name.len().to_string());
        }
        text += &format!("(export \"wasmgate:policy/{interface}@1.0.0#{function}\" (func ${function}))\n");
        text += &format!("(export \"cabi_post_wasmgate:policy/{interface}@1.0.0#{function}\" (func $forget))\n");
    }
    text.push(')');
    wat::parse_str(&text).unwrap_or_else(|error| panic!("guest {name}: {error}"))
}
