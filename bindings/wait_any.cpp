// SPDX-License-Identifier: Apache-2.0
// framebus.wait for Python, and what framebus.aio needs to wait in an event loop.
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <framebus/wait_any.hpp>
#include <vector>

#include "convert.hpp"
#include "long_call.hpp"

namespace framebus_python {

namespace {

// `subscribers` keeps them alive; the indices of those that are ready.
std::vector<std::size_t> wait(const nb::list& subscribers, nb::handle timeout) {
  const std::int64_t limit = timeout_ns(timeout);
  std::vector<framebus::Subscriber*> all;
  for (const nb::handle subscriber : subscribers) all.push_back(&subscriber_of(subscriber));
  std::vector<framebus::Subscriber*> ready;
  {
    const LongCall call;
    ready = framebus::wait_any(all, framebus::Timeout::from_ns(limit), check_signals);
  }
  std::vector<std::size_t> indices;
  auto next = ready.begin();  // in the order of `all`
  for (std::size_t i = 0; i < all.size() && next != ready.end(); ++i) {
    if (*next != all[i]) continue;
    indices.push_back(i);
    ++next;
  }
  return indices;
}

}  // namespace

void bind_wait_any(nb::module_& m) {
  m.def("wait", &wait, nb::arg("subscribers"), nb::arg("timeout").none(),
        nb::sig("def wait(subscribers: list[Subscriber], timeout: float | None) -> list[int]"),
        "The indices of those that have something new; waits for one.");
  m.def(
      "fail_timeout",
      [](nb::handle subscriber, double timeout) {
        subscriber_of(subscriber).fail_timeout(framebus::Timeout::from_ns(seconds_to_ns(timeout, "timeout")));
      },
      nb::arg("subscriber"), nb::arg("timeout"),
      nb::sig("def fail_timeout(subscriber: Subscriber, timeout: float) -> typing.NoReturn"),
      "Raises what recv(timeout) does when its time is over.");
}

}  // namespace framebus_python
