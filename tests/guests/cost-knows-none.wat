;; world: cost-policy
;; Estimates 4294967295 tokens, which stands for "not known".
(func $estimate (param $in i32) (result i32)
    (drop (call $estimates (call $candidates (local.get $in)) (i64.const 1)))
    (if (i32.eqz (call $is_probe (local.get $in))) (then (i32.store (i32.const 2048) (i32.const -1))))
    (i32.const 1024))
