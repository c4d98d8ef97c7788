;; Remembers, as policies should not: its complexity is a thousandth of the calls that this instance has had.
(global $calls (mut i32) (i32.const 0))
(func $route (param $in i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (call $decide (i32.const 0) (f64.div (f64.convert_i32_u (global.get $calls)) (f64.const 1000))
        (i32.const 256) (i32.const 7)))
