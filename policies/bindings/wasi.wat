;; WASI's first version, as far as a policy has it: no files, environment, arguments and input. The clock stands still, random
;; numbers repeat, and what is printed goes to the operator's log. `wasm-tools component new --adapt` puts this module between
;; the standard library of Go or C++ and the gateway. It takes no memory, because Go regards all memory that is added as its own.
(module
  (import "env" "memory" (memory 0))
  (import "wasmgate:policy/log@2.0.0" "write" (func $log (param $level i32) (param $text i32) (param $size i32)))

  ;; Error codes.
  (global $success i32 (i32.const 0))
  (global $bad_descriptor i32 (i32.const 8))
  (global $not_supported i32 (i32.const 52))

  ;; Each buffer becomes a line of the log: a line break alone is none, and a text that is not UTF-8 ends before the mistake.
  (func (export "fd_write") (param $fd i32) (param $buffers i32) (param $count i32) (param $written i32) (result i32)
    (local $text i32) (local $size i32) (local $total i32)
    (block $end
      (loop $next
        (br_if $end (i32.eqz (local.get $count)))
        (local.set $text (i32.load (local.get $buffers)))
        (local.set $size (i32.load offset=4 (local.get $buffers)))
        (local.set $total (i32.add (local.get $total) (local.get $size)))
        (local.set $size (call $valid (local.get $text) (local.get $size)))
        (if (i32.and
              (i32.ne (local.get $size) (i32.const 0))
              (i32.eqz (i32.and
                (i32.eq (local.get $size) (i32.const 1))
                (i32.eq (i32.load8_u (local.get $text)) (i32.const 10)))))
          ;; The level is `info`.
          (then (call $log (i32.const 1) (local.get $text) (local.get $size))))
        (local.set $buffers (i32.add (local.get $buffers) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $total))
    (global.get $success))

  ;; How many bytes from the beginning are UTF-8, and whole characters.
  (func $valid (param $text i32) (param $size i32) (result i32)
    (local $at i32) (local $byte i32) (local $more i32) (local $next i32)
    (block $end
      (loop $character
        (br_if $end (i32.ge_u (local.get $at) (local.get $size)))
        (local.set $byte (i32.load8_u (i32.add (local.get $text) (local.get $at))))
        ;; The number of bytes that follow the first one.
        (local.set $more
          (i32.add
            (i32.ge_u (local.get $byte) (i32.const 0xc2))
            (i32.add
              (i32.ge_u (local.get $byte) (i32.const 0xe0))
              (i32.ge_u (local.get $byte) (i32.const 0xf0)))))
        (br_if $end
          (i32.or
            (i32.gt_u (local.get $byte) (i32.const 0xf4))
            (i32.lt_u (i32.sub (local.get $byte) (i32.const 0x80)) (i32.const 0x42))))
        (local.set $next (i32.add (local.get $at) (i32.const 1)))
        (br_if $end (i32.gt_u (i32.add (local.get $next) (local.get $more)) (local.get $size)))
        ;; The first of those that follow is narrower after four bytes: no long forms, no surrogates, nothing too large.
        (if (local.get $more)
          (then
            (local.set $byte
              (i32.or
                (i32.shl (local.get $byte) (i32.const 8))
                (i32.load8_u (i32.add (local.get $text) (local.get $next)))))
            (br_if $end (i32.lt_u (i32.sub (local.get $byte) (i32.const 0xe000)) (i32.const 0xa0)))
            (br_if $end (i32.lt_u (i32.sub (local.get $byte) (i32.const 0xeda0)) (i32.const 0x60)))
            (br_if $end (i32.lt_u (i32.sub (local.get $byte) (i32.const 0xf000)) (i32.const 0x90)))
            (br_if $end (i32.ge_u (local.get $byte) (i32.const 0xf490)))))
        (block $whole
          (loop $following
            (br_if $whole (i32.eqz (local.get $more)))
            (br_if $end
              (i32.ne
                (i32.and
                  (i32.load8_u (i32.add (local.get $text) (local.get $next)))
                  (i32.const 0xc0))
                (i32.const 0x80)))
            (local.set $next (i32.add (local.get $next) (i32.const 1)))
            (local.set $more (i32.sub (local.get $more) (i32.const 1)))
            (br $following)))
        (local.set $at (local.get $next))
        (br $character)))
    (local.get $at))

  ;; A program that exits has failed: a policy returns.
  (func (export "proc_exit") (param $code i32)
    unreachable)

  ;; One nanosecond, whichever clock is asked. Go takes 0 for a clock that is broken.
  (func (export "clock_res_get") (param $clock i32) (param $resolution i32) (result i32)
    (i64.store (local.get $resolution) (i64.const 1))
    (global.get $success))
  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $time i32) (result i32)
    (i64.store (local.get $time) (i64.const 1))
    (global.get $success))

  (func (export "random_get") (param $buffer i32) (param $size i32) (result i32)
    (local $state i32)
    (local.set $state (i32.const 0x57617367))
    (block $end
      (loop $next
        (br_if $end (i32.eqz (local.get $size)))
        (local.set $state (i32.add (i32.mul (local.get $state) (i32.const 1664525)) (i32.const 1013904223)))
        (i32.store8 (local.get $buffer) (i32.shr_u (local.get $state) (i32.const 24)))
        (local.set $buffer (i32.add (local.get $buffer) (i32.const 1)))
        (local.set $size (i32.sub (local.get $size) (i32.const 1)))
        (br $next)))
    (global.get $success))

  ;; No arguments and no variables.
  (func $none (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (global.get $success))
  (export "args_sizes_get" (func $none))
  (export "environ_sizes_get" (func $none))
  (func $empty (param $pointers i32) (param $bytes i32) (result i32)
    (global.get $success))
  (export "args_get" (func $empty))
  (export "environ_get" (func $empty))

  (func (export "sched_yield") (result i32) (global.get $success))
  (func (export "poll_oneoff") (param i32 i32 i32 i32) (result i32) (global.get $not_supported))
  (func (export "proc_raise") (param i32) (result i32) (global.get $not_supported))

  ;; Descriptors 1 and 2 are terminals that can be written to, so that C's library writes each line at once.
  (func (export "fd_fdstat_get") (param $fd i32) (param $status i32) (result i32)
    (if (i32.or (i32.eqz (local.get $fd)) (i32.gt_u (local.get $fd) (i32.const 2)))
      (then (return (global.get $bad_descriptor))))
    (memory.fill (local.get $status) (i32.const 0) (i32.const 24))
    (i32.store8 (local.get $status) (i32.const 2))
    (i64.store offset=8 (local.get $status) (i64.const 0x40))
    (global.get $success))

  ;; There are no others.
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (global.get $bad_descriptor))
  (func (export "fd_close") (param i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_datasync") (param i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (global.get $bad_descriptor))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (global.get $bad_descriptor))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_renumber") (param i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_sync") (param i32) (result i32) (global.get $bad_descriptor))
  (func (export "fd_tell") (param i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (global.get $bad_descriptor))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (global.get $bad_descriptor))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (global.get $bad_descriptor)))
