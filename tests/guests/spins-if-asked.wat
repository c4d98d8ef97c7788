;; Never comes back where the prompt begins with an exclamation mark; decides well at once otherwise.
(func $route (param $in i32) (result i32)
    (if (i32.eqz (call $text_length (local.get $in))) (then (return (call $decide_well))))
    (if (i32.ne (i32.load8_u (call $text (local.get $in))) (i32.const 33)) (then (return (call $decide_well))))
    (loop $for_ever (br $for_ever))
    unreachable)
