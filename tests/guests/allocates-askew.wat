;; Gives the gateway memory at an address that is not aligned.
(func $realloc (param i32 i32 i32 i32) (result i32) (i32.const 1501))
