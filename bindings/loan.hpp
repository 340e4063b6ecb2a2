// SPDX-License-Identifier: Apache-2.0
// framebus.Loan for the other files of the bindings, and what a publisher shares with its loans.
#pragma once

#include <nanobind/nanobind.h>

#include <framebus/framebus.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "call_python.hpp"
#include "kept_arrays.hpp"
#include "long_call.hpp"

namespace framebus_python {

namespace nb = nanobind;

// What Publisher(launch=) has to do after its first frame; empty for any other publisher and for all later frames.
struct FirstFrame {
  nb::object then;

  // Calls `then` in each thread that sends a frame before `then` has returned once. `then` has the lock with which the
  // other threads wait for the first one.
  void sent() {
    if (!then.is_valid()) return;
    const nb::object call = then;
    try {
      call_python(call);
    } catch (...) {
      then.reset();
      throw;
    }
    then.reset();
  }
};

// Publishes a frame that is filled. Keeps the GIL if that takes no time.
inline std::uint64_t commit_quickly(framebus::Loan& loan, std::string_view meta) {
  if (const auto seq = loan.try_commit(meta)) return *seq;
  const LongCall call;
  return loan.commit(meta, check_signals);
}

// What a publisher shares with its loans, which may outlive it.
struct Lending {
  FirstFrame first_frame;
  KeptArrays kept;
};

// A framebus.Loan of a claimed slot.
nb::object python_loan(framebus::Loan&& loan, std::shared_ptr<Lending> lending, nb::handle meta,
                       nb::handle pixel_format);

// Goes the way of a block: asks the loan of a rehearsal for its array, and ends it without sending.
void rehearse(const nb::object& loan);

}  // namespace framebus_python
