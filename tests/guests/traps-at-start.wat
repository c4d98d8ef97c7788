;; Hits an unreachable instruction when it is instantiated.
(func $start unreachable)
(start $start)
