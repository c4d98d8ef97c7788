;; Grows its memory by 8 MiB in each call and keeps it, then says by its complexity (hundredths) how many calls it had.
(global $calls (mut i32) (i32.const 0))
(func $route (param $in i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (drop (memory.grow (i32.const 128)))
    (call $decide (i32.const 0) (f64.div (f64.convert_i32_u (global.get $calls)) (f64.const 100))
        (i32.const 256) (i32.const 7)))
