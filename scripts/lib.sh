# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the other scripts share; to be sourced. Sourcing it changes to the top of the checkout and does nothing else.
#
#   use_venv              make .venv with a Python >= 3.10 if it is not there, and put its programs first in PATH
#   install_once A,B      install framebus and the dependency groups A and B of pyproject.toml into it, only what has
#                         changed since; framebus itself as the wheel that it leaves in .venv/wheel
#   cpp_tests [SANITIZER] build and run the C++ tests; no test, or a test that checked nothing, is a failure
#   python_tests ARGS...  run pytest, with two workers for each core unless single files are named or ARGS say how
#
# Failures end the calling script with one sentence that says what to do.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root" || exit 1
venv=$root/.venv

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

find_python() {  # prints the first Python that is new enough; PYTHON=... comes before all others
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "no Python 3.10 or newer found; install one, or name it: PYTHON=/path/to/python3 $0"
}

use_venv() {
  # A .venv that was moved or copied names its old place in its programs; one whose Python has gone does not start.
  if ! grep -qsF "$venv" "$venv/bin/activate" || ! "$venv/bin/python" -c '' 2>/dev/null; then
    local python
    python=$(find_python) || exit 1
    rm -rf "$venv"
    "$python" -m venv "$venv" || die "$python cannot make a virtual environment; run scripts/system-packages"
  fi
  export PATH=$venv/bin:$PATH
  unset PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE
}

source_hash() {  # of everything that decides what gets installed
  { find pyproject.toml CMakeLists.txt cmake include bindings src -name __pycache__ -prune -o -type f -print0 |
      LC_ALL=C sort -z | xargs -0 sha256sum
    python --version
  } | sha256sum | cut -d ' ' -f 1
}

install_once() {
  ( # One script at a time; the lock goes with this subshell.
    if command -v flock >/dev/null; then flock 9; fi
    local now groups group options=() hash='' installed='' pip=(python -m pip --quiet --disable-pip-version-check)
    now=$(source_hash)
    read -r hash installed 2>/dev/null <"$venv/framebus.groups" || true
    groups=$(tr ',' '\n' <<<"$1${installed:+,$installed}" | sort -u | paste -sd ,)
    [[ $now == "$hash" && $groups == "$installed" ]] && exit 0
    say "Installing framebus for $groups into ${venv#"$root"/} ..."
    rm -f "$venv/framebus.groups"
    "${pip[@]}" install 'pip>=25.3' || exit 1 # the first that knows --group and --build-constraint
    if [[ $now != "$hash" ]]; then
      rm -rf "$venv/wheel"
      # Built with the nanobind that the stub is compared with.
      "${pip[@]}" install --group stub && python -m pip freeze | grep '^nanobind==' >"$venv/build-constraints.txt" &&
        "${pip[@]}" wheel --no-deps --build-constraint "$venv/build-constraints.txt" --wheel-dir "$venv/wheel" \
          --config-settings cmake.define.FRAMEBUS_WERROR=ON . || exit 1
      "${pip[@]}" uninstall --yes framebus 2>/dev/null # of two with one version, pip keeps the old one
    fi
    for group in ${groups//,/ }; do options+=(--group "$group"); done
    "${pip[@]}" install "${options[@]}" "$venv"/wheel/framebus-*.whl || exit 1
    printf '%s %s\n' "$now" "$groups" >"$venv/framebus.groups"
  ) 9>"$venv/framebus.lock" || die "the installation failed, see above; scripts/system-packages installs a compiler"
}

# count_checks LOG TESTS prints how many checks LOG (of `ctest --verbose`) reports, and fails unless each of TESTS tests
# ended in "checks: N" with N > 0, and there was at least one test.
count_checks() {
  awk -v tests="$2" '
    /^[0-9]+: checks: [0-9]+$/ { if ($3 > 0) reporting++; checks += $3 }
    END {
      printf "%d tests, %d checks", tests, checks
      if (tests == 0 || reporting != tests) { printf ": %d tests reported any", reporting; exit 1 }
    }' "$1"
}

cpp_tests() {
  local sanitizer=${1:-} name=C++ build=build/cpp log runtime='' count runner=()
  if [[ -n $sanitizer ]]; then
    name="C++ under the $sanitizer sanitizer" build=build/cpp-${sanitizer//,/-}
  fi
  case $sanitizer in
    thread)
      runtime=__tsan_init
      # ThreadSanitizer wants its shadow memory at fixed places, which a randomised layout may have taken.
      if setarch "$(uname -m)" -R true 2>/dev/null; then runner=(setarch "$(uname -m)" -R); fi ;;
    address*) runtime=__asan_init ;;
  esac
  grep -qsxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$build/CMakeCache.txt" || rm -rf "$build"
  mkdir -p "$build"
  log=$root/$build/tests.log
  { cmake -S . -B "$build" -G Ninja -DFRAMEBUS_TESTS=ON -DFRAMEBUS_EXAMPLES=OFF -DFRAMEBUS_SANITIZE="$sanitizer" &&
    cmake --build "$build"; } \
    >"$log" 2>&1 || { cat "$log"; say "$name: the tests do not build"; return 1; }
  local tests program before left
  before=$(ls -A /dev/shm)
  tests=$(ctest --test-dir "$build" --show-only | sed -n 's/^Total Tests: //p')
  if [[ -n $runtime ]]; then
    for program in $(find "$build" -maxdepth 1 -name 'test_*' -type f -executable); do
      grep -qa "$runtime" "$program" || { say "$name: $program was built without the sanitizer"; return 1; }
    done
  fi
  "${runner[@]}" ctest --test-dir "$build" --parallel "$(nproc)" --verbose >"$log" 2>&1 || { cat "$log"; say "$name: a test failed"; return 1; }
  left=$(comm -13 <(sort <<<"$before") <(ls -A /dev/shm | sort) | grep -E '^framebus\.(cpp|hostile)' || true)
  [[ -z $left ]] || { say "$name: the tests left in /dev/shm: $left"; return 1; }
  count=$(count_checks "$log" "${tests:-0}") || { cat "$log"; say "$name: $count"; return 1; }
  say "$name: $count, all good"
}

python_tests() {
  local argument workers beside=()
  workers=$((2 * $(nproc)))
  # Without a limit of restarts the others would go on after the end of a worker and never end.
  beside=(-n "$((workers < 16 ? workers : 16))" --dist loadgroup --no-loadscope-reorder --max-worker-restart=0)
  for argument; do
    case $argument in
      -n* | --numprocesses* | --dist* | --pdb | *no:xdist | *.py | *.py::*) beside=() ;;
    esac
  done
  python -m pytest "${beside[@]}" "$@"
}
