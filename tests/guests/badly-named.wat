;; Gives itself a name that no metric label should have.
(data (i32.const 300) "Bad Name\0a")
(func $describe (result i32) (call $manifest (i32.const 300) (i32.const 9)))
