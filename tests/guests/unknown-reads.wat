;; version: 2
;; Its manifest says that it reads what the contract does not have.
(func $describe (result i32)
    (drop (call $manifest (i32.const 64) (i32.const NAME_LENGTH)))
    (i32.store8 (i32.const 1056) (i32.const 3))
    (i32.const 1024))
