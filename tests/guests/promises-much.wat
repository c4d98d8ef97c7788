;; version: 2
;; Its manifest has 300 reasons.
(func $describe (result i32)
    (drop (call $manifest (i32.const 64) (i32.const NAME_LENGTH)))
    (i32.store (i32.const 1076) (i32.const 4096))
    (i32.store (i32.const 1080) (i32.const 300))
    (i32.const 1024))
