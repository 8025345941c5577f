#!/usr/bin/env bash
# Prepares what the feature `rocksdb` needs to compile, and prints the environment to export:
#
#   eval "$(scripts/rocksdb-deps.sh)"
#   cargo test -p kstreams-store --features rocksdb
#
# RocksDB is C++, compiled from source: about 15 minutes on two cores the first time. It needs a C++20 compiler, and libclang,
# which reads its headers. libclang is taken from where LIBCLANG_PATH says, or from the system (Debian: libclang-dev), or else
# from PyPI's `libclang` wheel, into the user's cache directory, without root. With ccache installed, a second compilation
# from nothing takes a minute; it is used if it is there.
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kstreams-libclang
wheel='libclang==18.1.1'

say() { echo "rocksdb-deps: $*" >&2; }
die() { say "$*"; echo false; exit 1; }
export_line() { printf 'export %s=%q\n' "$1" "$2"; }

# The first of the given directories in which there is a libclang.
directory_with_libclang() {
  local directory
  for directory in "$@"; do
    if compgen -G "$directory/libclang.so*" >/dev/null || compgen -G "$directory/libclang-[0-9]*.so*" >/dev/null ||
      compgen -G "$directory/libclang.dylib" >/dev/null; then
      echo "$directory"
      return
    fi
  done
  return 1
}

system_directories() {
  command -v llvm-config >/dev/null && llvm-config --libdir
  # The newest version first.
  compgen -G '/usr/lib/llvm-*/lib' | sort -rV || true
  compgen -G '/usr/lib/*-linux-gnu' || true
  printf '%s\n' /usr/lib64 /usr/lib /usr/local/lib /opt/homebrew/opt/llvm/lib /Library/Developer/CommandLineTools/usr/lib
}

libclang() {
  local found
  if [ -n "${LIBCLANG_PATH:-}" ] && found=$(directory_with_libclang "$LIBCLANG_PATH"); then
    echo "$found"
    return
  fi
  local directories
  mapfile -t directories < <(system_directories)
  if found=$(directory_with_libclang "${directories[@]}"); then
    echo "$found"
    return
  fi
  found=$cache/clang/native
  if ! directory_with_libclang "$found" >/dev/null; then
    command -v pip >/dev/null || return 1
    say "fetching $wheel into $cache"
    pip install --quiet --disable-pip-version-check --target "$cache" "$wheel" >&2 || return 1
  fi
  directory_with_libclang "$found"
}

# The directory of the compiler's own headers, where libclang came without any.
compiler_headers() {
  local with=$1
  compgen -G "$with/clang/*/include/stddef.h" >/dev/null && return
  compgen -G "$with/../lib/clang/*/include/stddef.h" >/dev/null && return
  cc -print-file-name=include
}

command -v c++ >/dev/null || die "no C++ compiler: install one, on Debian with 'apt-get install g++'"
found=$(libclang) || die "no libclang: install it, on Debian with 'apt-get install libclang-dev', or install pip"
say "libclang from $found"
export_line LIBCLANG_PATH "$found"
headers=$(compiler_headers "$found")
[ -z "$headers" ] || export_line BINDGEN_EXTRA_CLANG_ARGS "-I$headers"
if command -v ccache >/dev/null; then
  export_line CC "ccache cc"
  export_line CXX "ccache c++"
else
  say "no ccache: every compilation from nothing takes the full time"
fi
