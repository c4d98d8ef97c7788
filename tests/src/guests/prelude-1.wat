;; What depends on version 1 of the contract. The parameters of a decision lie at `$in`.

;; Ids of requests are longer than "probe".
(func $is_probe (param $in i32) (result i32) (i32.eq (i32.load offset=4 (local.get $in)) (i32.const 5)))
(func $newest (param $in i32) (result i32)
    (i32.add (i32.load offset=20 (local.get $in))
        (i32.mul (i32.const 12) (i32.sub (i32.load offset=24 (local.get $in)) (i32.const 1)))))
(func $text (param $in i32) (result i32) (i32.load offset=4 (call $newest (local.get $in))))
(func $text_length (param $in i32) (result i32) (i32.load offset=8 (call $newest (local.get $in))))
(func $messages (param $in i32) (result i32) (i32.load offset=24 (local.get $in)))
(func $labels (param $in i32) (result i32) (i32.load offset=84 (local.get $in)))
(func $candidates (param $in i32) (result i32) (i32.load offset=100 (local.get $in)))

(func $reason (param $reason i32) (param $length i32)
    (i32.store (i32.const 1068) (local.get $reason))
    (i32.store (i32.const 1072) (local.get $length)))

;; So many estimates of that cost: one input token, one output token.
(func $estimates (param $count i32) (param $cost i64) (result i32)
    (local $at i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.store (i32.const 1028) (i32.const 2048))
    (i32.store (i32.const 1032) (local.get $count))
    (local.set $at (i32.const 2048))
    (block $done (loop $each
        (br_if $done (i32.eqz (local.get $count)))
        (i32.store (local.get $at) (i32.const 1))
        (i32.store offset=4 (local.get $at) (i32.const 1))
        (i32.store8 offset=8 (local.get $at) (i32.const 1))
        (i64.store offset=16 (local.get $at) (local.get $cost))
        (local.set $at (i32.add (local.get $at) (i32.const 24)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $each)))
    (i32.const 1024))

;; What the policy says of itself: this name, version 1.0.0.
(func $manifest (param $name i32) (param $length i32) (result i32)
    (i32.store (i32.const 1024) (local.get $name)) (i32.store (i32.const 1028) (local.get $length))
    (i32.store (i32.const 1032) (i32.const 192)) (i32.store (i32.const 1036) (i32.const 5))
    (i32.store (i32.const 1040) (i32.const 256)) (i32.store (i32.const 1044) (i32.const 7))
    (i32.store (i32.const 1048) (i32.const 0)) (i32.store (i32.const 1052) (i32.const 0))
    (i32.const 1024))
