// SPDX-License-Identifier: Apache-2.0
// What a rehearsal does in place of publishing, so that the publication that follows finds its memory in the caches.
//
// Promise: changes nothing.
#pragma once

#include <cstddef>

#include "framebus/base/namespace.hpp"
#include "framebus/layout/layout.hpp"
#include "framebus/os/os.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// Starts to load the lines that the description of one array, and then a publication, write.
inline void fetch_what_publishing_writes(const ControlBlock& block, const SlotRecord& record) noexcept {
  constexpr std::size_t kWritten = offsetof(SlotRecord, arrays) + sizeof(ArrayRecord);
  const auto* bytes = reinterpret_cast<const char*>(&record);
  for (std::size_t at = 0; at < kWritten; at += kLine) prefetch_for_write(bytes + at);
  prefetch_for_write(&block.head);
  prefetch_for_write(&block.frames);
}

// The system call that wakes readers.
inline void wake_nobody() noexcept {
  Atomic<std::uint32_t> word{0};
  os::futex_wake_all(word);
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
