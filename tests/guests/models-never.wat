;; version: 2
;; Hits an unreachable instruction when it is given models.
(func $set_models (param $at i32) (param $count i32) unreachable)
