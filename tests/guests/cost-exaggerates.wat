;; world: cost-policy
;; Expects each request to cost 18 billion dollars.
(func $estimate (param $in i32) (result i32)
    (call $estimates (i32.load offset=100 (local.get $in))
        (if (result i64) (call $is_probe (local.get $in)) (then (i64.const 1)) (else (i64.const -1)))))
