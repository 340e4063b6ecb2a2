// SPDX-License-Identifier: Apache-2.0
// The atomic type of the core, and named steps between accesses to shared memory.
//
// All headers use detail::Atomic and never std::atomic for shared memory. A test can therefore substitute a type of the
// same size that passes control to a seeded scheduler at every access (tests/cpp/interleaving.hpp), and FRAMEBUS_STEP
// can name the places between two accesses.
//
// Promise: Atomic<T> is lock-free, as large as T, and works between processes that map the same page.
#pragma once

#include <atomic>
#include <cstdint>

#include "framebus/base/namespace.hpp"

#ifdef FRAMEBUS_ATOMIC_HEADER
#include FRAMEBUS_ATOMIC_HEADER
#else
namespace framebus::inline FRAMEBUS_VERSION::detail {
template <class T>
using Atomic = std::atomic<T>;
}  // namespace framebus::inline FRAMEBUS_VERSION::detail
#endif

// A named place between two steps that touch shared memory. Expands to nothing in every normal build; with
// FRAMEBUS_CRASH_POINTS a test can kill or stop the process there.
#ifdef FRAMEBUS_CRASH_POINTS
#include "framebus/base/crash_points.hpp"
#define FRAMEBUS_STEP(name) ::framebus::detail::crash::step(name)
#else
#define FRAMEBUS_STEP(name) ((void)0)
#endif

namespace framebus::inline FRAMEBUS_VERSION::detail {

static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "framebus needs lock-free 64-bit atomics");
static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "framebus needs lock-free 32-bit atomics");
static_assert(sizeof(Atomic<std::uint64_t>) == 8 && sizeof(Atomic<std::uint32_t>) == 4);

#if !defined(__x86_64__) && !defined(_M_X64) && !defined(__aarch64__)
#error "framebus: the memory-order argument in slots.hpp has been made for x86-64 and AArch64 only"
#endif

// Tells the processor that this is a spinning loop.
inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_ia32_pause();
#else
  asm volatile("yield");
#endif
}

// Starts to load the line of an address that will be written.
inline void prefetch_for_write(const void* address) noexcept { __builtin_prefetch(address, 1); }

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
