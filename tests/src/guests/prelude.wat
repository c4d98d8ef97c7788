;; What every guest has, at every version of the contract.

(memory $memory (export "memory") 2)
(global $heap (mut i32) (i32.const 65536))
;; 512: the ranking; 1024: what the function under way answers; 64: the name, 192: the version.
(data (i32.const 64) "NAME")
(data (i32.const 192) "1.0.0")
(data (i32.const 256) "as told")

(func $alloc (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
    (result i32)
    (local $at i32)
    (local.set $at (i32.and
        (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
        (then (drop (memory.grow (i32.add (i32.const 1) (i32.shr_u
            (i32.sub (global.get $heap) (i32.mul (memory.size) (i32.const 65536))) (i32.const 16)))))))
    (local.get $at))
(func $forget (param i32) (global.set $heap (i32.const 65536)))

;; Candidate `$first`, complexity, reason; tier medium.
(func $decide (param $first i32) (param $complexity f64) (param $reason i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.store8 (i32.const 1032) (i32.const 0))
    (i32.store (i32.const 512) (local.get $first))
    (call $rank (i32.const 512) (i32.const 1))
    (i32.store8 (i32.const 1048) (i32.const 1))
    (f64.store (i32.const 1056) (local.get $complexity))
    (i32.store8 (i32.const 1064) (i32.const 1))
    (call $tier (i32.const 1))
    (call $reason (local.get $reason) (local.get $length))
    (i32.const 1024))
(func $decide_well (result i32) (call $decide (i32.const 0) (f64.const 0.5) (i32.const 256) (i32.const 7)))
;; The ranking of a decision: so many places from there on.
(func $rank (param $at i32) (param $count i32)
    (i32.store (i32.const 1040) (local.get $at))
    (i32.store (i32.const 1044) (local.get $count)))
;; The number of its tier.
(func $tier (param $tier i32) (i32.store8 (i32.const 1065) (local.get $tier)))
;; A denial with this code and reason.
(func $refuse (param $code i32) (param $code_length i32) (param $reason i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.store8 (i32.const 1032) (i32.const 1))
    (i32.store (i32.const 1040) (local.get $code))
    (i32.store (i32.const 1044) (local.get $code_length))
    (i32.store (i32.const 1048) (local.get $reason))
    (i32.store (i32.const 1052) (local.get $length))
    (i32.const 1024))
;; An error with this text.
(func $fail (param $text i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 1))
    (i32.store (i32.const 1032) (local.get $text))
    (i32.store (i32.const 1036) (local.get $length))
    (i32.const 1024))
