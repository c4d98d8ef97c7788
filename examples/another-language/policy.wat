;; The smallest policy that decides, in WebAssembly's text format: what any compiler has to produce. It ranks the candidates in
;; the order of the operator's configuration. The offsets are those of the canonical ABI; a generator of bindings knows them.
(module
  (memory (export "memory") 1)

  ;; The manifest, 60 bytes: name, version, summary (each an address and a length). The rest is 0: no settings, reads nothing,
  ;; denies nothing, no reasons by number.
  (data (i32.const 0) "\40\00\00\00\0b\00\00\00" "\50\00\00\00\05\00\00\00" "\60\00\00\00\1f\00\00\00")
  (data (i32.const 0x40) "first-model")
  (data (i32.const 0x50) "1.0.0")
  (data (i32.const 0x60) "The first model that can answer")

  ;; A result without an error, whose rest does not matter.
  (data (i32.const 0x100) "\00")

  ;; What a call gets and returns is allocated from here on; the call ends with the allocations.
  (global $free (mut i32) (i32.const 0x200))
  (func $end (param $answer i32)
    (global.set $free (i32.const 0x200)))

  (func $allocate (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local $missing i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    ;; Memory grows by pages of 64 KiB.
    (local.set $missing
      (i32.sub
        (i32.shr_u (i32.add (global.get $free) (i32.const 0xffff)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1))
          (then unreachable))))
    (local.get $at))

  (func (export "wasmgate:policy/routing@2.0.0#describe") (result i32)
    (i32.const 0))
  (export "cabi_post_wasmgate:policy/routing@2.0.0#describe" (func $end))

  (func (export "wasmgate:policy/routing@2.0.0#configure") (result i32)
    (i32.const 0x100))
  (export "cabi_post_wasmgate:policy/routing@2.0.0#configure" (func $end))

  ;; A policy that looks at models would keep them. The memory that they are in is free again.
  (func (export "wasmgate:policy/routing@2.0.0#set-models") (param $models i32) (param $count i32)
    (call $end (i32.const 0)))

  ;; The request takes 104 bytes and the prompt 20; the address and the number of the candidates follow.
  (func (export "wasmgate:policy/routing@2.0.0#route") (param $arguments i32) (result i32)
    (local $answer i32)
    (local $ranking i32)
    (local $count i32)
    (local $index i32)
    (local.set $count (i32.load offset=128 (local.get $arguments)))
    (local.set $ranking
      (call $allocate (i32.const 0) (i32.const 0) (i32.const 4) (i32.mul (local.get $count) (i32.const 4))))
    (loop $next
      (i32.store
        (i32.add (local.get $ranking) (i32.mul (local.get $index) (i32.const 4)))
        (local.get $index))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $index) (local.get $count))))
    ;; 64 bytes: no error, the case `route`, the ranking, neither complexity nor tier, the reason as a text.
    (local.set $answer (call $allocate (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 64)))
    (memory.fill (local.get $answer) (i32.const 0) (i32.const 64))
    (i32.store offset=16 (local.get $answer) (local.get $ranking))
    (i32.store offset=20 (local.get $answer) (local.get $count))
    (i32.store offset=56 (local.get $answer) (i32.const 0x60))
    (i32.store offset=60 (local.get $answer) (i32.const 31))
    (local.get $answer))
  (export "cabi_post_wasmgate:policy/routing@2.0.0#route" (func $end)))
