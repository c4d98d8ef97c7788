;; version: 2
;; Denies, though its manifest says that it denies nothing.
(data (i32.const 300) "office_hours")
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (call $refuse (i32.const 300) (i32.const 12) (i32.const 256) (i32.const 7)))
