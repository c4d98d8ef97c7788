;; world: cost-policy
;; Behaves: two million nano-dollars for each candidate.
(func $estimate (param $in i32) (result i32)
    (call $estimates (call $candidates (local.get $in)) (i64.const 2000000)))
