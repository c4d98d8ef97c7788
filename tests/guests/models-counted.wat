;; version: 2
;; Says by its complexity how often it was given models (hundredths) and how many they were (ten thousandths).
(global $times (mut i32) (i32.const 0))
(global $models (mut i32) (i32.const 0))
(func $set_models (param $at i32) (param $count i32)
    (global.set $times (i32.add (global.get $times) (i32.const 1)))
    (global.set $models (local.get $count))
    (call $forget (i32.const 0)))
(func $route (param $in i32) (result i32)
    (call $decide (i32.const 0)
        (f64.add (f64.div (f64.convert_i32_u (global.get $times)) (f64.const 100))
            (f64.div (f64.convert_i32_u (global.get $models)) (f64.const 10000)))
        (i32.const 256) (i32.const 7)))
