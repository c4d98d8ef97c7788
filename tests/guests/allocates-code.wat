;; Gives the gateway the same memory for everything.
(func $realloc (param i32 i32 i32 i32) (result i32) (i32.const 4096))
