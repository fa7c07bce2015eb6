#!/usr/bin/env python3
"""Writes loops that hold the only reference to what they run over, in the forms that compilers rewrite most.

    generate.py [--elements=long,char] [--sizes=64,256] [--part=K/N] > loops.cc

A loop is a shape, over a holder, by an access. In the shapes below A is the array, BEGIN its first element's
address, B a second array, E the element, N the count as a constant, n the same unknown to the compiler, lo some
number; S(x) adds to the result. step() may collect. generate.py --part=2/5 writes every fifth loop.
"""
import argparse
import re

ELEMENTS = {"long": ("long", 8), "int": ("int", 4), "char": ("signed char", 1), "double": ("double", 8),
            "short": ("short", 2), "reference": ("Reference", 8)}

# The array fills the object, follows a member, precedes one, or is an array of its own.
HOLDERS = {
    "whole": ("struct {name} {{ E items[{count}]; }};", 0),
    "behind": ("struct {name} {{ E head; E items[{count}]; }};", 1),
    "before": ("struct {name} {{ E items[{count}]; E tail; }};", 1),
    "array": (None, 0),
}

SHAPES = {
    # forward
    "forward": "for (long i = 0; i < n; ++i) { step(); S(A[i]); }",
    "forward_constant": "for (int i = 0; i < N; ++i) { step(); S(A[i]); }",
    "forward_read_first": "for (long i = 0; i < n; ++i) { S(A[i]); step(); } S(A[n - 1]);",
    "forward_pointer": "for (E *p = BEGIN, *e = BEGIN + n; p != e; ++p) { step(); S(*p); }",
    "forward_pointer_after": "E* p = BEGIN; for (long k = n; k > 0; --k) { S(*p++); step(); } S(p[-1]);",
    "forward_preincrement": "E* p = BEGIN; S(*p); for (int k = 1; k < N; ++k) { step(); S(*++p); }",
    "forward_twice": "for (int r = 0; r < 2; ++r) for (int i = 0; i < N; ++i) { step(); S(A[i]); }",
    "forward_then_last": "for (int i = 0; i < N; ++i) { step(); S(A[i]); } step(); S(A[0]); step(); S(A[N - 1]);",
    "forward_unsigned": "for (unsigned i = 0; i < static_cast<unsigned>(n); ++i) { step(); S(A[i]); }",
    # backward
    "backward": "for (long i = n - 1; i >= 0; --i) { step(); S(A[i]); }",
    "backward_constant": "for (int i = N - 1; i >= 0; --i) { step(); S(A[i]); }",
    "backward_unsigned": "for (unsigned long i = static_cast<unsigned long>(n); i-- > 0;) { step(); S(A[i]); }",
    "backward_pointer": "for (E* p = BEGIN + N; p != BEGIN;) { step(); S(*--p); }",
    "backward_do": "E* const b = BEGIN; E* p = b + N; do { step(); S(*--p); } while (p != b);",
    "backward_count": "E* p = BEGIN + n; for (long k = n; k > 0; --k) { step(); S(*--p); }",
    "backward_from_end": "E* const e = BEGIN + n; for (long i = 1; i <= n; ++i) { step(); S(e[-i]); }",
    "backward_negative": "E* const e = BEGIN + n; for (long i = -n; i < 0; ++i) { step(); S(e[i]); }",
    "backward_twice": "for (int r = 0; r < 2; ++r) for (int i = N - 1; i >= 0; --i) { step(); S(A[i]); }",
    "mirror": "for (long i = 0; i < n; ++i) { step(); S(A[n - 1 - i]); s += i; }",
    "mirror_constant": "for (int i = 0; i < N; ++i) { step(); S(A[N - 1 - i]); s += i; }",
    # an index with another origin
    "window": "for (long i = lo; i < lo + n; ++i) { step(); S(A[i - lo]); s += i; }",
    "window_used": "for (long i = lo; i < lo + n; ++i) { step(); S(A[i - lo]); s += observe(i); }",
    "window_backward": "for (long i = lo; i < lo + n; ++i) { step(); S(A[lo + n - 1 - i]); s += i; }",
    "window_unsigned": "for (unsigned i = static_cast<unsigned>(lo); i < static_cast<unsigned>(lo + n); ++i) "
                       "{ step(); S(A[i - static_cast<unsigned>(lo)]); s += i; }",
    "window_far": "for (long i = 1000000; i < 1000000 + n; ++i) { step(); S(A[i - 1000000]); s += observe(i); }",
    "window_stop": "for (long i = lo; i < lo + n; ++i) { step(); S(A[i - lo]); if (s == 1l << 50) break; }",
    "window_two": "for (long i = lo; i < lo + n; ++i) { step(); S(A[i - lo]); S(B[i - lo]); s += observe(i); }",
    "one_based": "for (long i = 1; i <= n; ++i) { step(); S(A[i - 1]); s += observe(i); }",
    "one_based_constant": "for (int i = 1; i <= N; ++i) { step(); S(A[i - 1]); s += i; }",
    "one_based_backward": "for (long i = n; i >= 1; --i) { step(); S(A[i - 1]); s += observe(i); }",
    "below_zero": "for (long i = -n; i < 0; ++i) { step(); S(A[i + n]); s += observe(i); }",
    "below_zero_constant": "for (int i = -N; i < 0; ++i) { step(); S(A[i + N]); s += observe(i); }",
    # strides
    "stride": "for (long i = 0; i < n; i += 2) { step(); S(A[i]); } step(); S(A[1]);",
    "stride_backward": "for (long i = n - 1; i >= 0; i -= 2) { step(); S(A[i]); } step(); S(A[0]);",
    "stride_unknown": "const long d = lo - 5; for (long i = 0; i < n; i += d) { step(); S(A[i]); s += i; }",
    "stride_window": "for (long i = lo; i < lo + n; i += 2) { step(); S(A[i - lo]); s += observe(i); }",
    "ring": "for (long i = 0; i < 2 * n; ++i) { step(); S(A[i % n]); }",
    # nests
    "triangle": "for (long i = 0; i < n && i < 6; ++i) for (long j = 0; j <= i; ++j) { step(); S(A[i - j]); }",
    "triangle_upper": "for (long i = 0; i < n; ++i) for (long j = i; j < n && j < i + 4; ++j) "
                      "{ step(); S(A[j - i]); s += j; }",
    "triangle_sum": "for (long i = n - 1; i >= 0 && i > n - 6; --i) for (long j = 0; j < n - i; ++j) "
                    "{ step(); S(A[i + j]); }",
    "convolution": "for (long i = 0; i < n && i < 6; ++i) for (long j = 0; j <= i; ++j) "
                   "{ step(); S(A[i - j]); S(B[j]); }",
    "matrix": "for (long i = 0; i < 2; ++i) for (long j = 0; j < n / 2; ++j) { step(); S(A[i * (n / 2) + j]); }",
    "matrix_backward": "for (long i = 1; i >= 0; --i) for (long j = n / 2 - 1; j >= 0; --j) "
                       "{ step(); S(A[i * (n / 2) + j]); }",
    "matrix_one_based": "for (long i = 1; i <= 2; ++i) for (long j = 1; j <= n / 2; ++j) "
                        "{ step(); S(A[(i - 1) * (n / 2) + j - 1]); s += observe(i + j); }",
    "matrix_window": "for (long j = lo; j < lo + 2; ++j) for (long i = lo; i < lo + n / 2; ++i) "
                     "{ step(); S(A[(i - lo) + (j - lo) * (n / 2)]); s += i + j; }",
    # reductions, searches, stores
    "dot": "for (long i = 0; i < n; ++i) { step(); s += V(A[i]) * V(B[i]); }",
    "dot_backward": "for (long i = n - 1; i >= 0; --i) { step(); s += V(A[i]) * V(B[i]); }",
    "dot_opposite": "for (long i = 0; i < n; ++i) { step(); s += V(A[i]) * V(B[n - 1 - i]); }",
    "largest": "long m = -1; for (long i = 0; i < n; ++i) { step(); const long x = V(A[i]); m = x > m ? x : m; } "
               "step(); s += m; S(A[n - 1]);",
    "both_ends": "for (int i = 0, j = N - 1; i < j; ++i, --j) { step(); S(A[i]); S(A[j]); S(A[j]); }",
    "stencil": "for (long i = 1; i + 1 < n; ++i) { step(); S(A[i - 1]); S(A[i]); S(A[i + 1]); }",
    "search": "long i = 0; while (i < n && V(A[i]) != 77) { step(); ++i; } step(); S(A[i - 1]); s += i;",
    "search_pointer": "E* p = BEGIN; E* const e = p + n; while (p != e && V(*p) != 77) { ++p; step(); } S(p[-1]);",
    "bisect": "E* f = BEGIN; long left = n; while (left > 0) { const long h = left / 2; step(); "
              "if (V(f[h]) < lo) { f += h + 1; left -= h + 1; } else { left = h; } } s += f - BEGIN; S(f[-1]);",
    "copy": "for (long i = 0; i < n; ++i) { step(); B[i] = A[i]; } step(); for (long i = 0; i < n; ++i) S(B[i]);",
    "shift": "for (int i = N - 1; i > 0; --i) { step(); A[i] = A[i - 1]; } step(); "
             "for (int i = 0; i < N; ++i) S(A[i]);",
    "shift_down": "for (int i = 0; i + 1 < N; ++i) { step(); A[i] = A[i + 1]; } step(); "
                  "for (int i = 0; i < N; ++i) S(A[i]);",
    "refill": "for (int i = 0; i < N; ++i) { step(); fill(A[i], i % 5); } step(); for (int i = 0; i < N; ++i) S(A[i]);",
    "refill_backward": "for (int i = N - 1; i >= 0; --i) { step(); fill(A[i], i % 5); } step(); "
                       "for (int i = 0; i < N; ++i) S(A[i]);",
    "last": "step(); S(A[N - 1]); step(); S(A[N - 1]); step(); S(A[n - 1]);",
}

ACCESSES = ("raw", "pointer", "span")


def write_shape(body, holder, access, count):
    """The statements of a loop: what names the array, then the shape."""
    member = holder != "array"
    if access == "raw":
        setup, array, begin = "", "o->items" if member else "o", "o->items" if member else "o"
    elif access == "pointer":
        setup = "const gc::ptr<Holder> q = o; " if member else "const gc::ptr<E> q = o; "
        array, begin = ("q->items", "q->items") if member else ("q", "static_cast<E*>(q)")
    else:
        setup = f"const std::span<E> q({'o->items' if member else 'o'}, {count}); "
        array, begin = "q", "q.data()"
    body = re.sub(r"\bS\(", "s += value(", body)
    body = re.sub(r"\bV\(", "value(", body)
    body = re.sub(r"\bBEGIN\b", begin, body)
    body = re.sub(r"\bA\[", array + "[", body)
    body = re.sub(r"\bN\b", str(count), body)
    return setup + body


def write(elements, sizes, part, parts):
    lines = ['#include "tests/derive/loops.hpp"', "", "namespace tricolor::tests {", "namespace {", ""]
    cases = []
    number = 0
    for element in elements:
        cpp_type, width = ELEMENTS[element]
        for holder, (declaration, others) in HOLDERS.items():
            for size in sizes:
                count = size // width - others
                if not 4 <= count <= 32:
                    continue
                scope = f"{element}_{holder}_{size}"
                lines.append(f"namespace {scope} {{")
                lines.append(f"using E = {cpp_type};")
                if declaration:
                    lines.append(declaration.format(name="Holder", count=count))
                target = "Holder" if declaration else "E"
                maker = "make_holder<{0}::Holder>" if declaration else "make_elements<{0}::E>"
                for shape, body in SHAPES.items():
                    for access in ACCESSES:
                        number += 1
                        if number % parts != part % parts:
                            continue
                        name = f"{shape}_{access}"
                        lines.append(
                            f"DERIVE_LOOP long {name}(void* object, [[maybe_unused]] long n, [[maybe_unused]] long lo, "
                            f"[[maybe_unused]] void* other) {{ {target}* const o = static_cast<{target}*>(object); "
                            f"[[maybe_unused]] E* const B = static_cast<E*>(other); long s = 0; "
                            f"{write_shape(body, holder, access, count)} return s; }}")
                        cases.append(f'    {{"{scope}_{name}", {scope}::{name}, {maker.format(scope)}, '
                                     f"make_elements<{scope}::E>, {count}}},")
                lines.append(f"}}  // namespace {scope}")
                lines.append("")
    lines += ["}  // namespace", "", "const Case kCases[] = {"] + cases + ["};"]
    lines += [f"const int kCaseCount = {len(cases)};", "", "}  // namespace tricolor::tests"]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--elements", default=",".join(ELEMENTS))
    parser.add_argument("--sizes", default="32,64,128,256")
    parser.add_argument("--part", default="0/1", help="K/N: every N-th loop, from the K-th on")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.part.split("/"))
    print(write(arguments.elements.split(","), [int(s) for s in arguments.sizes.split(",")], part, parts))


if __name__ == "__main__":
    main()
