;; Hits an unreachable instruction at the first byte of a prompt that is not ASCII.
(func $route (param $in i32) (result i32)
    (local $at i32) (local $end i32)
    (local.set $at (call $text (local.get $in)))
    (local.set $end (i32.add (local.get $at) (call $text_length (local.get $in))))
    (block $done (loop $each
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (if (i32.ge_u (i32.load8_u (local.get $at)) (i32.const 128)) (then unreachable))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $each)))
    (call $decide_well))
