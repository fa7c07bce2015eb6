#!/usr/bin/env bash
# Installs the build directory $1 into a scratch tree, moves the tree, and builds and runs program.cc against it:
# by pkg-config and by CMake, shared and static, and looks whether g++ gets -fno-ivopts. What one of them prints is
# shown when it fails.
set -euo pipefail

build=$1
source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
unset LD_LIBRARY_PATH  # or the build directory would stand in for the installed library
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

DESTDIR="$scratch/staging" meson install -C "$build" --no-rebuild --quiet
prefix=$(meson introspect "$build" --buildoptions |
  python3 -c 'import json, sys; print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')
mv "$scratch/staging$prefix" "$scratch/installed"
cd "$scratch"

pc=$(find installed -name tricolor.pc -printf "$scratch/%h")
export PKG_CONFIG_PATH=$pc
library_dir=$(pkg-config --define-variable=prefix="$scratch/installed" --variable=libdir tricolor)
flags() { pkg-config --define-variable=prefix="$scratch/installed" "$@" tricolor; }
read -ra cxx <<<"${CXX:-c++}"
read -ra cflags <<<"-std=c++20 -O1 -Wall -Wextra -Werror $(flags --cflags)"
compile=("${cxx[@]}" "${cflags[@]}")
read -ra shared <<<"$(flags --libs)"
read -ra static <<<"$(flags --static --libs)"
# The archive by its name: -ltricolor would take the shared library beside it.
static=("${static[@]/#-ltricolor/$library_dir/libtricolor.a}")

has_flag() { [[ " $* " == *" -fno-ivopts "* ]]; }
lacks_flag() { ! has_flag "$@"; }
try "pkg-config hands out -fno-ivopts" has_flag "$(flags --cflags)"
try "pkg-config leaves it out when asked to" lacks_flag "$(flags --define-variable=reference_flags= --cflags)"
for other in g++ clang++ clang++-14; do
  if command -v "$other" >/dev/null; then
    try "pkg-config, $other takes the flags" "$other" "${cflags[@]}" -c "$source/program.cc" -o "$other.o"
  fi
done

if [[ -e $library_dir/libtricolor.so ]]; then
  try "pkg-config, shared" "${compile[@]}" "$source/program.cc" -o shared "${shared[@]}"
  try "pkg-config, shared, run" env LD_LIBRARY_PATH="$library_dir" ./shared
fi
if [[ -e $library_dir/libtricolor.a ]]; then
  try "pkg-config, static" "${compile[@]}" "$source/program.cc" -o static "${static[@]}"
  try "pkg-config, static, run" ./static
fi
refuses() {
  printf '#include <tricolor/prelude.hpp>\nint main() { gc::ptr<int> p; gc::root<int> r; gc::ptr<const volatile int> c; %s }\n' \
    "$1" >refused.cc
  ! "${compile[@]}" -Wno-error -fsyntax-only refused.cc 2>refused.log && grep -Eq 'error: .*(ambiguous|deleted)' refused.log
}
compiles() { ! refuses "$1" && "${compile[@]}" -Wno-error -fsyntax-only refused.cc; }
try "a use of references compiles" compiles 'return p || r || c;'
for use in 'delete p;' 'delete r;' 'delete c;' 'delete[] p;' 'std::unique_ptr<int> u(p);' 'std::unique_ptr<int> u(r);'; do
  try "does not compile: $use" refuses "$use"
done

# A checking program and this library differ in inlined code.
if ! [[ "${cflags[*]}" == *-DTRICOLOR_CHECKS* ]]; then
  refuses_checks() {
    ! "${compile[@]}" -DTRICOLOR_CHECKS=1 "$source/program.cc" -o mixed "$@" 2>mixed.log &&
      grep -q library_with_checks mixed.log
  }
  [[ ! -e $library_dir/libtricolor.so ]] || try "a checking program does not link, shared" refuses_checks "${shared[@]}"
  [[ ! -e $library_dir/libtricolor.a ]] || try "a checking program does not link, static" refuses_checks "${static[@]}"
fi
if command -v cmake >/dev/null; then
  try "cmake configure" cmake -S "$source" -B cmake \
    -DCMAKE_PREFIX_PATH="$scratch/installed" -DCMAKE_CXX_COMPILER="${compile[0]}"
  try "cmake build" cmake --build cmake
  if "${cxx[@]}" --version | grep -q 'Free Software Foundation'; then
    try "cmake hands out -fno-ivopts" grep -rq -e -fno-ivopts cmake/CMakeFiles
    try "cmake configure without it" cmake -S "$source" -B cmake_without -DTRICOLOR_REFERENCE_FLAGS=OFF \
      -DCMAKE_PREFIX_PATH="$scratch/installed" -DCMAKE_CXX_COMPILER="${compile[0]}"
    lacks_flag_in() { ! grep -rq -e -fno-ivopts "$1"; }
    try "cmake leaves it out when asked to" lacks_flag_in cmake_without/CMakeFiles
  fi
  try "cmake run" ctest --test-dir cmake --output-on-failure --no-tests=error
fi
echo "$passed steps passed"
