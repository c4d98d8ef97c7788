;; world: cost-policy
;; Hits an unreachable instruction.
(func $estimate (param $in i32) (result i32)
    (if (call $is_probe (local.get $in))
        (then (return (call $estimates (call $candidates (local.get $in)) (i64.const 1)))))
    unreachable)
