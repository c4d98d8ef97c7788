;; Does not like its settings.
(data (i32.const 300) "setting budget should be above 0")
(func $configure (result i32)
    (i32.store8 (i32.const 1024) (i32.const 1))
    (i32.store (i32.const 1028) (i32.const 300))
    (i32.store (i32.const 1032) (i32.const 32))
    (i32.const 1024))
