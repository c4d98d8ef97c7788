;; As `counts`, and hits an unreachable instruction where the prompt begins with an exclamation mark.
(global $calls (mut i32) (i32.const 0))
(func $route (param $in i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.eq (i32.load8_u (call $text (local.get $in))) (i32.const 33)) (then unreachable))
    (call $decide (i32.const 0) (f64.div (f64.convert_i32_u (global.get $calls)) (f64.const 1000))
        (i32.const 256) (i32.const 7)))
