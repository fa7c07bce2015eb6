#!/bin/sh
# What memcheck says of memory that is nobody's, by the library's requests, and that it says nothing of the rest.
#
#     memcheck.sh POISON_PROGRAM SUPPRESSIONS
set -eu

program=$1
suppressions=$2
failed=0

# expect MODE TEXT: the text is in what it says; without one, it says nothing.
expect() {
  said=$(valgrind -q --leak-check=full --suppressions="$suppressions" "$program" "$1" 2>&1) || true
  case $said in
    *"$2"*) if [ -n "$2" ] || [ -z "$said" ]; then return; fi ;;
  esac
  printf '%s: expected "%s", and it says:\n%s\n' "$1" "$2" "$said"
  failed=1
}

expect swept 'Invalid read of size 8'
expect destroyed 'Invalid read of size 8'
expect leak 'are definitely lost'
expect owned ''
expect none ''
exit $failed
