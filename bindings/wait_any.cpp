// SPDX-License-Identifier: Apache-2.0
// framebus.wait for Python, and the Listener with which framebus.channel.aio waits in an event loop.
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <framebus/wait_any.hpp>
#include <memory>
#include <vector>

#include "convert.hpp"
#include "long_call.hpp"

namespace framebus_python {

namespace {

// Returns the indices of the subscribers that are ready. `subscribers` keeps them alive.
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

// The descriptor of one event loop that waits for one subscriber. It does not keep the subscriber alive.
class PyListener {
 public:
  explicit PyListener(nb::handle subscriber) : listener_(subscriber_of(subscriber).listen()) {}

  int fileno() const { return listener_->fd(); }
  void arm(double until) { listener_->arm(until < 9e9 ? static_cast<std::int64_t>(until * 1e9) : INT64_MAX); }
  bool disarm() { return listener_->disarm(); }

 private:
  std::shared_ptr<framebus::detail::Listener> listener_;
};

}  // namespace

void bind_wait_any(nb::module_& m) {
  nb::class_<PyListener>(m, "Listener", "A descriptor for one event loop that waits for a subscriber.")
      .def(nb::init<nb::handle>(), nb::arg("subscriber"),
           nb::sig("def __init__(self, subscriber: SubscriberBase[typing.Any]) -> None"))
      .def("fileno", &PyListener::fileno,
           "Readable when there may be a new frame, and permanently once the subscriber is closed.")
      .def("arm", &PyListener::arm, nb::arg("until"),
           "To be called before a fetch and then a wait: clears it until the next event, or time.monotonic() is "
           "`until`.")
      .def("disarm", &PyListener::disarm,
           "No task waits: keeps it cleared until arm(). False if it may be signalled nevertheless.");
  m.def("wait", &wait, nb::arg("subscribers"), nb::arg("timeout").none(),
        nb::sig("def wait(subscribers: collections.abc.Sequence[SubscriberBase[typing.Any]], timeout: float | None) -> "
                "list[int]"),
        "Waits for a new frame in any of them; returns the indices of those that have one.");
  m.def(
      "fail_timeout",
      [](nb::handle subscriber, double timeout) {
        subscriber_of(subscriber).fail_timeout(framebus::Timeout::from_ns(seconds_to_ns(timeout, "timeout")));
      },
      nb::arg("subscriber"), nb::arg("timeout"),
      nb::sig("def fail_timeout(subscriber: SubscriberBase[typing.Any], timeout: float) -> typing.NoReturn"),
      "Raises what recv(timeout) raises after its timeout.");
}

}  // namespace framebus_python
