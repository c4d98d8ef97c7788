;; Decides well nine times, then hits an unreachable instruction: a single sample would not show it.
(global $calls (mut i32) (i32.const 0))
(func $route (param $in i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.gt_u (global.get $calls) (i32.const 9)) (then unreachable))
    (call $decide_well))
