;; version: 2
;; Gives a reason by its number, with a million numbers in it.
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (drop (memory.grow (i32.const 170)))
    (call $decide_coded (i32.const 0) (i32.const 131072) (i32.const 1000000)))
