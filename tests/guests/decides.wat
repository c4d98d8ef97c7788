;; Behaves: the first candidate, complexity 0.5.
