;; Gives itself a name that no metric label should have.
(data (i32.const 300) "Bad Name\0a")
(func $describe (result i32)
    (i32.store (i32.const 1024) (i32.const 300)) (i32.store (i32.const 1028) (i32.const 9))
    (i32.store (i32.const 1032) (i32.const 192)) (i32.store (i32.const 1036) (i32.const 5))
    (i32.store (i32.const 1040) (i32.const 256)) (i32.store (i32.const 1044) (i32.const 7))
    (i32.store (i32.const 1048) (i32.const 0)) (i32.store (i32.const 1052) (i32.const 0))
    (i32.const 1024))
