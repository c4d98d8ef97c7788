;; world: looks-around
;; Uses what WASI offers: its complexity is a hundredth of the environment variables, arguments and folders that it
;; sees, a tenth more where a clock is not at 0, and a millionth of a random byte.
(import "wasi:cli/environment@0.2.0" "get-environment" (func $environment (param i32)))
(import "wasi:cli/environment@0.2.0" "get-arguments" (func $arguments (param i32)))
(import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $folders (param i32)))
(import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
(import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
(func $route (param $in i32) (result i32)
    (call $environment (i32.const 2048))
    (call $arguments (i32.const 2064))
    (call $folders (i32.const 2080))
    (call $decide (i32.const 0)
        (f64.add
            (f64.div (f64.convert_i64_u (i64.and (call $random) (i64.const 255))) (f64.const 1000000))
            (f64.add
                (f64.div
                    (f64.convert_i32_u (i32.add (i32.load (i32.const 2052))
                        (i32.add (i32.load (i32.const 2068)) (i32.load (i32.const 2084)))))
                    (f64.const 100))
                (if (result f64) (i64.eqz (call $now)) (then (f64.const 0)) (else (f64.const 0.1)))))
        (i32.const 256) (i32.const 7)))
