;; version: 2
;; Gives a reason by a number that its manifest does not have.
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (call $decide_coded (i32.const 7) (i32.const 0) (i32.const 0)))
