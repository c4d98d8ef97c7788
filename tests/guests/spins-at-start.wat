;; Never comes back from its instantiation.
(func $start (loop $for_ever (br $for_ever)))
(start $start)
