;; denies: true
;; Refuses a prompt that begins with a question mark, and hits an unreachable instruction if one begins with an exclamation
;; mark.
(data (i32.const 300) "not_this")
(data (i32.const 330) "Ask for something else.")
(func $route (param $in i32) (result i32)
    (if (i32.eqz (call $text_length (local.get $in))) (then (return (call $decide_well))))
    (if (i32.eq (i32.load8_u (call $text (local.get $in))) (i32.const 33)) (then unreachable))
    (if (i32.eq (i32.load8_u (call $text (local.get $in))) (i32.const 63))
        (then (return (call $refuse (i32.const 300) (i32.const 8) (i32.const 330) (i32.const 23)))))
    (call $decide_well))
