module tricolor/bench/programs

go 1.19
