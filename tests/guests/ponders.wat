;; Decides well, where the prompt begins with an exclamation mark after a count of six hundred million.
(func $route (param $in i32) (result i32)
    (local $left i32)
    (if (i32.eqz (call $text_length (local.get $in))) (then (return (call $decide_well))))
    (if (i32.ne (i32.load8_u (call $text (local.get $in))) (i32.const 33)) (then (return (call $decide_well))))
    (local.set $left (i32.const 600000000))
    (loop $next
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br_if $next (local.get $left)))
    (call $decide_well))
