;; labels: *
;; Says how many labels it was shown: its complexity is a thousandth of their number.
(func $route (param $in i32) (result i32)
    (call $decide (i32.const 0)
        (f64.div (f64.convert_i32_u (call $labels (local.get $in))) (f64.const 1000))
        (i32.const 256) (i32.const 7)))
