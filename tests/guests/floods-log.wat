;; Logs 500 lines of 4 KiB, then decides well.
(func $route (param $in i32) (result i32)
    (local $left i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (memory.fill (i32.const 100000) (i32.const 120) (i32.const 4096))
    (local.set $left (i32.const 500))
    (loop $again
        (call $log (i32.const 1) (i32.const 100000) (i32.const 4096))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $decide_well))
