;; world: asks-for-much
;; The prompt's first letter says which import it calls, with an argument as large as can be. Decides well if it returns.
(import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))
(import "wasi:random/insecure@0.2.0" "get-insecure-random-bytes" (func $insecure (param i64 i32)))
(import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
(import "wasi:cli/stdin@0.2.0" "get-stdin" (func $stdin (result i32)))
(import "wasi:io/streams@0.2.0" "[method]output-stream.write" (func $write (param i32 i32 i32 i32)))
(import "wasi:io/streams@0.2.0" "[method]output-stream.write-zeroes" (func $zeroes (param i32 i64 i32)))
(import "wasi:io/streams@0.2.0" "[method]output-stream.splice" (func $splice (param i32 i32 i64 i32)))
(import "wasi:io/streams@0.2.0" "[method]input-stream.read" (func $read (param i32 i64 i32)))
(import "wasi:io/streams@0.2.0" "[method]input-stream.skip" (func $skip (param i32 i64 i32)))
(import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $timer (param i64) (result i32)))
(import "wasi:io/poll@0.2.0" "poll" (func $poll (param i32 i32 i32)))
(import "wasmgate:policy/settings@VERSION" "get" (func $setting (param i32 i32 i32)))
(func $is (param $in i32) (param $letter i32) (result i32)
    (i32.eq (i32.load8_u (call $text (local.get $in))) (local.get $letter)))
(func $route (param $in i32) (result i32)
    (local $at i32) (local $handle i32) (local $next i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (local.set $at (call $alloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 1048576)))
    ;; r, R: random bytes, as many as are granted and one more. i: insecure ones, one more.
    (if (call $is (local.get $in) (i32.const 114)) (then (call $random (i64.const 4096) (i32.const 2048))))
    (if (call $is (local.get $in) (i32.const 82)) (then (call $random (i64.const 4097) (i32.const 2048))))
    (if (call $is (local.get $in) (i32.const 105)) (then (call $insecure (i64.const 16777216) (i32.const 2048))))
    ;; w: a large write. z: many zeroes.
    (if (call $is (local.get $in) (i32.const 119))
        (then (call $write (call $stdout) (local.get $at) (i32.const 1048576) (i32.const 2048))))
    (if (call $is (local.get $in) (i32.const 122))
        (then (call $zeroes (call $stdout) (i64.const 4294967296) (i32.const 2048))))
    ;; s, e, k: all that standard input has, spliced, read, skipped.
    (if (call $is (local.get $in) (i32.const 115))
        (then (call $splice (call $stdout) (call $stdin) (i64.const -1) (i32.const 2048))))
    (if (call $is (local.get $in) (i32.const 101)) (then (call $read (call $stdin) (i64.const -1) (i32.const 2048))))
    (if (call $is (local.get $in) (i32.const 107)) (then (call $skip (call $stdin) (i64.const -1) (i32.const 2048))))
    ;; p: waits for one timer, named 262,144 times.
    (if (call $is (local.get $in) (i32.const 112))
        (then
            (local.set $handle (call $timer (i64.const 0)))
            (loop $each
                (i32.store (i32.add (local.get $at) (local.get $next)) (local.get $handle))
                (local.set $next (i32.add (local.get $next) (i32.const 4)))
                (br_if $each (i32.lt_u (local.get $next) (i32.const 1048576))))
            (call $poll (local.get $at) (i32.const 262144) (i32.const 2048))))
    ;; n: a setting with a name of 1 MiB. l: a log line of 1 MiB.
    (if (call $is (local.get $in) (i32.const 110))
        (then (call $setting (local.get $at) (i32.const 1048576) (i32.const 2048))))
    (if (call $is (local.get $in) (i32.const 108))
        (then (call $log (i32.const 1) (local.get $at) (i32.const 1048576))))
    (call $decide_well))
