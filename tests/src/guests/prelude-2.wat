;; What depends on version 2 of the contract. The parameters of a decision lie at `$in`: the request (104 bytes), the
;; prompt (20), the candidates.

;; Ids of requests are longer than "probe".
(func $is_probe (param $in i32) (result i32)
    (call $id (i32.const 1536))
    (i32.eq (i32.load offset=4 (i32.const 1536)) (i32.const 5)))
;; Of a guest that reads the newest message.
(func $text (param $in i32) (result i32) (i32.load offset=108 (local.get $in)))
(func $text_length (param $in i32) (result i32) (i32.load offset=112 (local.get $in)))
;; Of a guest that reads the conversation.
(func $messages (param $in i32) (result i32) (i32.load offset=120 (local.get $in)))
(func $labels (param $in i32) (result i32)
    (call $all_labels (i32.const 1536))
    (i32.load offset=4 (i32.const 1536)))
(func $candidates (param $in i32) (result i32) (i32.load offset=128 (local.get $in)))

(func $reason (param $reason i32) (param $length i32)
    (i32.store8 (i32.const 1068) (i32.const 0))
    (i32.store (i32.const 1072) (local.get $reason))
    (i32.store (i32.const 1076) (local.get $length)))
;; A decision for the first candidate, with a reason of the manifest's and so many numbers from there on.
(func $decide_coded (param $reason i32) (param $numbers i32) (param $count i32) (result i32)
    (drop (call $decide_well))
    (i32.store8 (i32.const 1068) (i32.const 1))
    (i32.store (i32.const 1072) (local.get $reason))
    (i32.store (i32.const 1076) (local.get $numbers))
    (i32.store (i32.const 1080) (local.get $count))
    (i32.const 1024))

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
        (i64.store offset=8 (local.get $at) (local.get $cost))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $each)))
    (i32.const 1024))

;; What the policy says of itself: this name, version 1.0.0, what its text declares.
(func $manifest (param $name i32) (param $length i32) (result i32)
    (i32.store (i32.const 1024) (local.get $name)) (i32.store (i32.const 1028) (local.get $length))
    (i32.store (i32.const 1032) (i32.const 192)) (i32.store (i32.const 1036) (i32.const 5))
    (i32.store (i32.const 1040) (i32.const 256)) (i32.store (i32.const 1044) (i32.const 7))
    (i32.store (i32.const 1048) (i32.const 0)) (i32.store (i32.const 1052) (i32.const 0))
    (i32.store8 (i32.const 1056) (i32.const READS_PROMPT))
    (i32.store (i32.const 1060) (i32.const 272)) (i32.store (i32.const 1064) (i32.const READS_LABELS))
    (i32.store8 (i32.const 1068) (i32.const 0))
    (i32.store8 (i32.const 1072) (i32.const DENIES))
    (i32.store (i32.const 1076) (i32.const 0)) (i32.store (i32.const 1080) (i32.const 0))
    (i32.const 1024))
;; 272: a list of one label, `*`.
(data (i32.const 272) "\18\01\00\00\01\00\00\00*")
