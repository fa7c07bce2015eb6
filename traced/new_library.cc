// libtricolor_new.so: what <tricolor/traced_new.hpp> puts into a program, as a library.

#include <tricolor/traced_new.hpp>
