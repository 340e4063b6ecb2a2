// SPDX-License-Identifier: Apache-2.0
// A minimal test harness that can't pass by accident: a failed check is printed and fails the program, and so does a
// program that checked nothing. The last line reports the number of checks; scripts/check reads it.
#pragma once

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace check {

inline std::atomic<long> done{0};
inline std::atomic<long> failed{0};

inline void report(bool ok, const char* what, const char* file, int line) {
  done.fetch_add(1, std::memory_order_relaxed);
  if (ok) return;
  failed.fetch_add(1, std::memory_order_relaxed);
  std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
}

inline int finish() {
  std::printf("checks: %ld\n", done.load());
  return failed.load() == 0 && done.load() > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace check

#define CHECK(expression) ::check::report(static_cast<bool>(expression), #expression, __FILE__, __LINE__)

// The statement must throw framebus::Error with this code.
#define CHECK_FAILS(statement, expected)                                                   \
  do {                                                                                     \
    bool as_expected = false;                                                              \
    try {                                                                                  \
      statement;                                                                           \
    } catch (const framebus::Error& error) {                                               \
      as_expected = error.code() == (expected);                                            \
      if (!as_expected) std::fprintf(stderr, "got instead: %s\n", error.what());           \
    }                                                                                      \
    ::check::report(as_expected, #statement " fails with " #expected, __FILE__, __LINE__); \
  } while (false)
