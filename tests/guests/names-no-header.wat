;; version: 2
;; Its manifest names a label that no header can have.
(data (i32.const 400) "\98\01\00\00\07\00\00\00\1b[31mX!")
(func $describe (result i32)
    (drop (call $manifest (i32.const 64) (i32.const NAME_LENGTH)))
    (i32.store (i32.const 1060) (i32.const 400))
    (i32.store (i32.const 1064) (i32.const 1))
    (i32.const 1024))
