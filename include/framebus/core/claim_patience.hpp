// SPDX-License-Identifier: Apache-2.0
// How long a reader waits for a publisher that has marked a slot and has not yet decided whether it takes it.
//
// Between the mark and the decision lie some hundred nanoseconds, unless the system takes the processor away from the
// publisher there, which on a busy machine happens once in some thousand frames. A reader that went on to a later frame
// meanwhile would lose the marked frame, and the publisher would count nobody who lost it.
//
// Promise: a reader goes on without the decision only if no publisher is alive any more, or if the same mark has stood
// for kAbandoned: then it is that of a publisher that died, and the next one has not sent a frame yet. No call of
// wait() takes longer than some ten milliseconds: a publisher may be stopped for any time.
#pragma once

#include <time.h>

#include <cstdint>

#include "framebus/base/namespace.hpp"
#include "framebus/os/os.hpp"
#include "framebus/segment/membership.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class ClaimPatience {
 public:
  enum class Answer : std::uint8_t { look_again, undecided, abandoned };

  // To be called at the beginning of a search for a frame.
  void begin() noexcept { tries_ = 0; }

  // To be called when `word`, the frame word of a marked slot, could not be held. `undecided`: no frame for now.
  Answer wait(std::uint64_t word, const Control& control) {
    if (++tries_ <= kSpins) {
      cpu_relax();
      return Answer::look_again;
    }
    const std::int64_t now = os::monotonic_ns();
    if (word != word_) {
      word_ = word;
      since_ns_ = now;
    }
    if (now - since_ns_ >= kAbandoned || !is_publisher_alive(control)) return Answer::abandoned;
    if (tries_ > kSpins + kPauses) return Answer::undecided;
    constexpr struct timespec kPause = {0, 50'000};
    ::nanosleep(&kPause, nullptr);
    return Answer::look_again;
  }

 private:
  static constexpr int kSpins = 500;
  static constexpr int kPauses = 100;
  static constexpr std::int64_t kAbandoned = 1'000'000'000;  // ns

  int tries_ = 0;  // of this search
  std::uint64_t word_ = 0;
  std::int64_t since_ns_ = 0;  // when `word_` was first waited for
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
