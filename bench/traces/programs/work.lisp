; Work for lisp.c: short-lived lists, a tree that grows and is searched, queens, a table that changes.

(define not (lambda (x) (if x '() t)))
(define append (lambda (x y) (if (null? x) y (cons (car x) (append (cdr x) y)))))
(define map (lambda (f x) (if (null? x) '() (cons (f (car x)) (map f (cdr x))))))
(define iota (lambda (n) (if (= n 0) '() (cons n (iota (- n 1))))))
(define length (lambda (x) (if (null? x) 0 (+ 1 (length (cdr x))))))
(define sum (lambda (x total) (if (null? x) total (sum (cdr x) (+ total (car x))))))

; A tree: (key left . right)
(define insert (lambda (tree key)
  (if (null? tree)
      (cons key (cons '() '()))
      (if (< key (car tree))
          (begin (set-car! (cdr tree) (insert (car (cdr tree)) key)) tree)
          (begin (set-cdr! (cdr tree) (insert (cdr (cdr tree)) key)) tree)))))
(define next (lambda (seed) (rem (+ (* seed 137) 71) 5003)))
(define grow (lambda (tree n seed)
  (if (= n 0) tree (grow (insert tree seed) (- n 1) (next seed)))))
(define count (lambda (tree)
  (if (null? tree) 0 (+ 1 (+ (count (car (cdr tree))) (count (cdr (cdr tree))))))))

(define rows (map (lambda (i) (iota 60)) (iota 40)))
(sum (map length rows) 0)
(define forest (map (lambda (i) (grow '() 20 i)) (iota 3)))
(sum (map count forest) 0)

(define safe (lambda (queen others distance)
  (if (null? others) t
      (if (= queen (car others)) '()
          (if (= queen (+ (car others) distance)) '()
              (if (= queen (- (car others) distance)) '()
                  (safe queen (cdr others) (+ distance 1))))))))
(define try (lambda (n column row board)
  (if (= row 0) 0
      (+ (try n column (- row 1) board)
         (if (safe row board 1) (queens n (+ column 1) (cons row board)) 0)))))
(define queens (lambda (n column board)
  (if (= column n) 1 (try n column n board))))
(queens 4 0 '())

; A ring of boxes whose contents are replaced by turns.
(define table (map (lambda (i) (cons i '())) (iota 40)))
(define churn (lambda (n at)
  (if (= n 0) (length table)
      (begin
        (set-cdr! (car at) (iota 6))
        (churn (- n 1) (if (null? (cdr at)) table (cdr at)))))))
(churn 50 table)
(sum (map (lambda (box) (sum (cdr box) 0)) table) 0)

(define forest '())
(length (append (iota 100) (iota 50)))
