;; version: 2
;; reads: none
;; Reads nothing by its manifest, and looks at all that there is: its complexity is a tenth if it sees a text, two if it sees
;; the tenant, four if it sees a label; a hundredth if it sees limits, two if a budget.
(import "wasmgate:policy/request-facts@VERSION" "label" (func $label (param i32 i32 i32)))
(import "wasmgate:policy/request-facts@VERSION" "tenant" (func $tenant (param i32)))
(import "wasmgate:policy/request-facts@VERSION" "limits" (func $limits (param i32)))
(data (i32.const 300) "x-team")
(func $route (param $in i32) (result i32)
    (local $seen i32)
    ;; The prompt's case: not 0 if there is a text.
    (if (i32.load8_u offset=104 (local.get $in))
        (then (local.set $seen (i32.add (local.get $seen) (i32.const 10)))))
    (call $tenant (i32.const 1600))
    (if (i32.load8_u (i32.const 1600)) (then (local.set $seen (i32.add (local.get $seen) (i32.const 20)))))
    (call $label (i32.const 300) (i32.const 6) (i32.const 1600))
    (if (i32.or (i32.load8_u (i32.const 1600)) (call $labels (local.get $in)))
        (then (local.set $seen (i32.add (local.get $seen) (i32.const 40)))))
    (call $limits (i32.const 1600))
    (if (i32.load offset=4 (i32.const 1600)) (then (local.set $seen (i32.add (local.get $seen) (i32.const 1)))))
    (if (i32.load8_u offset=56 (local.get $in)) (then (local.set $seen (i32.add (local.get $seen) (i32.const 2)))))
    (call $decide (i32.const 0) (f64.div (f64.convert_i32_u (local.get $seen)) (f64.const 100))
        (i32.const 256) (i32.const 7)))
