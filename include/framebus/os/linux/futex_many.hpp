// SPDX-License-Identifier: Apache-2.0
// Sleeping on several 32-bit words of shared memory at once, by futex_waitv (Linux 5.16).
//
// If the kernel does not have this call (ENOSYS), a sandbox forbids it (EPERM), it fails, or there are more words than
// it takes, the sleep is in slices of kPollSlice, and all words are read after each. This notices a change later and
// costs processor time, but is correct.
//
// The words may be unmapped during futex_waitv(), also by another thread: that ends it as a change does.
// futex_wait_any() reads them itself; its caller keeps them mapped.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "framebus/base/namespace.hpp"
#include "framebus/os/linux/futex.hpp"
#include "framebus/os/linux/process.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail::os {

inline constexpr std::size_t kMostWords = 128;         // FUTEX_WAITV_MAX
inline constexpr std::int64_t kPollSlice = 1'000'000;  // ns; the longest sleep if not all words can end it
inline constexpr long kFutexWaitv = 449;               // on every architecture; older headers do not have it
inline constexpr std::uint32_t kSharedWord32 = 2;      // FUTEX2_SIZE_U32 without FUTEX2_PRIVATE

struct ExpectedWord {
  Atomic<std::uint32_t>* word = nullptr;
  std::uint32_t expected = 0;
};

enum class ManyFutexes : std::uint8_t { together, one_by_one };  // one_by_one: as if the kernel had no futex_waitv

// Sleeps on the first kMostWords of them. False if the kernel can't. Reads no word itself.
inline bool futex_waitv(std::span<const ExpectedWord> words, std::int64_t until_ns, Slept& slept) noexcept {
  struct KernelWord {  // struct futex_waitv of <linux/futex.h>, which older headers do not have
    std::uint64_t expected;
    std::uint64_t address;
    std::uint32_t flags;
    std::uint32_t reserved;
  };
  std::array<KernelWord, kMostWords> list;
  const std::size_t count = std::min(words.size(), kMostWords);
  for (std::size_t i = 0; i < count; ++i) {
    list[i] = {words[i].expected, reinterpret_cast<std::uint64_t>(words[i].word), kSharedWord32, 0};
  }
  struct timespec until{};  // an absolute time, unlike that of futex_wait
  until.tv_sec = until_ns / 1'000'000'000;
  until.tv_nsec = until_ns % 1'000'000'000;
  const long rc = ::syscall(kFutexWaitv, list.data(), static_cast<unsigned>(count), 0U, &until, CLOCK_MONOTONIC);
  if (rc >= 0 || errno == EAGAIN || errno == EFAULT) {
    slept = Slept::woken;
  } else if (errno == EINTR || errno == ETIMEDOUT) {
    slept = errno == EINTR ? Slept::interrupted : Slept::timed_out;
  } else {
    return false;
  }
  return true;
}

// Sleeps while every word is as expected, until `until_ns` (CLOCK_MONOTONIC) at most. May return early.
inline Slept futex_wait_any(std::span<const ExpectedWord> words, std::int64_t until_ns,
                            ManyFutexes how = ManyFutexes::together) noexcept {
  for (;;) {
    for (const ExpectedWord& w : words) {
      if (w.word->load() != w.expected) return Slept::woken;
    }
    const std::int64_t now = monotonic_ns();
    if (now >= until_ns || words.empty()) return Slept::timed_out;
    const bool all = words.size() <= (how == ManyFutexes::together ? kMostWords : 1);
    const std::int64_t end = all ? until_ns : std::min(until_ns, now + kPollSlice);
    Slept slept{};
    if (how == ManyFutexes::one_by_one) {
      slept = futex_wait(*words[0].word, words[0].expected, end - now);
    } else if (!futex_waitv(words, end, slept)) {
      how = ManyFutexes::one_by_one;
      continue;
    }
    if (slept != Slept::timed_out) return slept;
  }
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os
