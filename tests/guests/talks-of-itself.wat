;; Its manifest has a summary of 2 MiB.
(func $describe (result i32)
    (drop (memory.grow (i32.const 40)))
    (drop (call $manifest (i32.const 64) (i32.const NAME_LENGTH)))
    (i32.store (i32.const 1040) (i32.const 131072))
    (i32.store (i32.const 1044) (i32.const 0x200000))
    (i32.const 1024))
