#!/usr/bin/env bash
# Compiles a file of all public headers ($1: the folder that has them) with the warnings that programs turn on, as
# errors, with and without exceptions, by every compiler that is there; and runs a program that uses them ($3), built
# without exceptions by this build's compiler ($CXX), with its flags ($CXXFLAGS) and library ($2).
set -euo pipefail

include=$1
library=$2
program=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0

try() {
  local name=$1
  shift
  if ! "$@" >"$scratch/log" 2>&1; then
    echo "$name: failed: $*"
    cat "$scratch/log"
    exit 1
  fi
  echo "$name: ok"
  passed=$((passed + 1))
}

# traced_new.hpp replaces operator new, so it is looked at, but in no program here.
(cd "$include" && find tricolor -name '*.hpp' -not -path '*/detail/*' | sort) |
  sed 's/.*/#include <&>/' >"$scratch/all.cc"
[[ $(wc -l <"$scratch/all.cc") -gt 40 ]] || { echo "the public headers are not in $include" && exit 1; }
# Behind and before the C++ runtime's own names.
{ echo '#include <cxxabi.h>' && cat "$scratch/all.cc"; } >"$scratch/late.cc"

warnings=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast
  -Wcast-qual -Woverloaded-virtual -Wextra-semi -Wundef -Werror)
flags=(-std=c++20 -fno-ivopts -Wno-ignored-optimization-argument -I "$include")
for compiler in g++ clang++-14; do
  command -v "$compiler" >/dev/null || continue
  for file in all late; do
    try "$compiler, all headers, $file" "$compiler" "${flags[@]}" "${warnings[@]}" -fsyntax-only "$scratch/$file.cc"
  done
  for options in "" "-fno-exceptions -fno-rtti" "-fno-exceptions -DTRICOLOR_CHECKS=1"; do
    try "$compiler $options, what they offer" \
      "$compiler" "${flags[@]}" "${warnings[@]}" $options -fsyntax-only "$program"
  done
  try "$compiler, all headers without exceptions" \
    "$compiler" "${flags[@]}" "${warnings[@]}" -fno-exceptions -fno-rtti -fsyntax-only "$scratch/all.cc"
done

read -ra cxx <<<"${CXX:-c++} ${CXXFLAGS:-}"
try "without exceptions, link" "${cxx[@]}" "${flags[@]}" -fno-exceptions -fno-rtti "$program" \
  -o "$scratch/program" "$library" "-Wl,-rpath,$(dirname "$library")"
try "without exceptions, run" "$scratch/program"
ends_with_message() {
  ! "$scratch/program" throws 2>"$scratch/message" && grep -q 'gc::vector::at: index beyond the size' "$scratch/message"
}
try "without exceptions, what would be thrown ends the program with its message" ends_with_message
echo "$passed steps passed"
