// SPDX-License-Identifier: Apache-2.0
// What a reader does that wants a frame whose slot the publisher has marked and not yet decided to take.
//
// Between the mark and the decision lie some hundred nanoseconds, unless the system takes the processor away from the
// publisher there, which on a busy machine happens once in some thousand frames. A reader that went on to a later frame
// meanwhile would lose the marked frame, and the publisher would count nobody who lost it.
//
// Promise: a reader goes on without the decision only if it will never come: the publisher that has made the store is
// gone. No call sleeps; after some microseconds the answer is that the publisher is undecided.
#pragma once

#include <cstdint>

#include "framebus/base/namespace.hpp"
#include "framebus/segment/frame_store.hpp"
#include "framebus/segment/membership.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

class ClaimPatience {
 public:
  enum class Answer : std::uint8_t { look_again, undecided, abandoned };

  // To be called each time that `word`, the frame word of a marked slot of `store`, could not be held.
  Answer wait(std::uint64_t word, const Control& control, const Store& store) {
    tries_ = word == word_ ? tries_ + 1 : 1;
    word_ = word;
    if (tries_ <= kSpins) {
      cpu_relax();
      return Answer::look_again;
    }
    // A successor keeps the lock of the channel, but has another epoch: it changes the epoch after it has got the lock,
    // so who finds the old epoch and the lock free finds no publisher at all.
    const bool gone = control.block().publisher_epoch.load() != store.publisher_epoch() || !is_publisher_alive(control);
    return gone ? Answer::abandoned : Answer::undecided;
  }

 private:
  static constexpr int kSpins = 500;

  int tries_ = 0;  // for `word_`
  std::uint64_t word_ = 0;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
