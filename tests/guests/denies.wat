;; denies: true
;; Refuses each request.
(data (i32.const 300) "office_hours")
(data (i32.const 330) "Ask again in the morning.")
(func $route (param $in i32) (result i32)
    (call $refuse (i32.const 300) (i32.const 12) (i32.const 330) (i32.const 25)))
