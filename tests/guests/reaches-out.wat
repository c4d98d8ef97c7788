;; world: reaches-out
;; Wants to call servers.
(import "wasi:http/outgoing@0.2.0" "send" (func $send (param i32 i32)))
(func $route (param $in i32) (result i32)
    (call $send (i32.const 256) (i32.const 7))
    (call $decide_well))
