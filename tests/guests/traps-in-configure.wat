;; Hits an unreachable instruction when it is configured.
(func $configure (result i32) unreachable)
