;; Behaves: the second candidate alone, where there is one.
(func $route (param $in i32) (result i32)
    (call $decide (i32.gt_u (call $candidates (local.get $in)) (i32.const 1))
        (f64.const 0.5) (i32.const 256) (i32.const 7)))
