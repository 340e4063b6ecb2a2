// SPDX-License-Identifier: Apache-2.0
// The native half of framebus.Subscriber; its subclass in src/framebus/channel/subscriber.py is the other half.
//
// Promise: receiving a frame and iterating run no Python.
#include <nanobind/stl/string.h>

#include <memory>
#include <string>
#include <utility>

#include "convert.hpp"
#include "frame.hpp"
#include "long_call.hpp"
#include "native_method.hpp"

namespace framebus_python {

namespace {

using framebus::Frame;
using framebus::Subscriber;

class SubscriberBase {
 public:
  SubscriberBase(const std::string& name, bool every, std::int64_t hold, std::int64_t history, double connect_timeout,
                 const std::string& wait, double max_spin, bool reconnect, bool observer, bool keeper) {
    const framebus::SubscriberOptions options{
        every,
        static_cast<std::uint32_t>(hold),
        static_cast<std::uint32_t>(history),
        framebus::Timeout::from_ns(seconds_to_ns(connect_timeout, "connect_timeout")),
        policy(wait),
        framebus::Timeout::from_ns(seconds_to_ns(max_spin, "max_spin")),
        reconnect,
        warm_up,
        observer,
        keeper};
    const LongCall call;
    subscriber_ = std::make_unique<Subscriber>(name, options, check_signals);
  }

  nb::object try_recv() { return or_none(subscriber_->try_recv()); }

  nb::object recv(nb::handle timeout) {
    const std::int64_t limit = timeout_ns(timeout);
    auto frame = subscriber_->fetch_now();
    if (!frame) {
      const LongCall call;
      frame = subscriber_->recv(framebus::Timeout::from_ns(limit), check_signals);
    }
    return python_frame(std::move(*frame));
  }

  nb::object next(nb::handle timeout) {
    const std::int64_t limit = timeout_ns(timeout);
    auto frame = subscriber_->fetch_now();
    if (!frame) {
      const LongCall call;
      frame = subscriber_->next(framebus::Timeout::from_ns(limit), check_signals);
    }
    return or_none(std::move(frame));
  }

  // For a loop of asyncio or trio. None if there is no frame yet; raises StopAsyncIteration if next() returns None.
  nb::object try_next() {
    auto result = subscriber_->try_next();
    if (result.ended) {
      PyErr_SetNone(PyExc_StopAsyncIteration);
      throw nb::python_error();
    }
    return or_none(std::move(result.frame));
  }

  int fileno() { return subscriber_->fileno(); }
  void close() {
    const LongCall call;
    subscriber_->close();
  }
  bool is_closed() const { return subscriber_->is_closed(); }

  nb::dict statistics() const { return to_dict(subscriber_->statistics()); }
  Subscriber& core() const { return *subscriber_; }

 private:
  static nb::object or_none(std::optional<Frame>&& frame) {
    return frame ? python_frame(std::move(*frame)) : nb::none();
  }
  static framebus::Wait policy(const std::string& name) {
    using framebus::Wait;
    if (name == "park") return Wait::park;
    if (name == "spin") return Wait::spin;
    return name == "predictive" ? Wait::predictive : Wait::adaptive;
  }

  std::unique_ptr<Subscriber> subscriber_;
};

SubscriberBase& subscriber(PyObject* self) { return object_of<SubscriberBase>(self); }

nb::object recv(PyObject* self, const Arguments& given) {
  static const Parameters<1> kParameters("Subscriber.recv", {"timeout"}, 1, 0);
  const auto [timeout] = kParameters.read(given);
  return subscriber(self).recv(or_none(timeout));
}

nb::object try_recv(PyObject* self) { return subscriber(self).try_recv(); }

// A null object and no error mean the end of the iteration.
nb::object next(PyObject* self) {
  nb::object frame = subscriber(self).next(Py_None);
  return frame.is_none() ? nb::object() : frame;
}

PyMethodDef methods[] = {
    method_with_arguments<recv>("recv", R"(recv($self, /, timeout=None)
--

Returns the next frame and waits for it, other Python threads running, at most `timeout` seconds.

Raises:
    Timeout: nothing new came in time.
    TooManyHeld: this program already holds `hold` frames.
    ChannelClosed: the publisher closed the channel (with reconnect=True: and no other came in time), or this
        Subscriber was closed.
    PublisherDied: it died, and reconnect=False.
    CorruptChannel: what is in shared memory is not a frame; the next call goes on after it.
    ValueError: a negative timeout.)"),
    method_without_arguments<try_recv>(
        "try_recv",
        "try_recv($self, /)\n--\n\n"
        "Returns the next frame, or None when there is nothing new. Never waits. Raises as recv() does."),
    kClassGetItem,
    {nullptr, nullptr, 0, nullptr}};
PyType_Slot slots[] = {{Py_tp_methods, static_cast<void*>(methods)},
                       {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
                       {Py_tp_iternext, reinterpret_cast<void*>(without_arguments<next>)},
                       {0, nullptr}};

}  // namespace

Subscriber& subscriber_of(nb::handle object) { return nb::cast<SubscriberBase&>(object).core(); }

void bind_subscriber(nb::module_& m) {
  nb::class_<SubscriberBase>(m, "SubscriberBase", nb::type_slots(slots),
                             nb::sig("class SubscriberBase(Generic[FrameT])"),
                             "The native half of framebus.Subscriber.")
      .def(nb::init<const std::string&, bool, std::int64_t, std::int64_t, double, const std::string&, double, bool,
                    bool, bool>(),
           nb::arg("name"), nb::kw_only(), nb::arg("every"), nb::arg("hold"), nb::arg("history"),
           nb::arg("connect_timeout"), nb::arg("wait"), nb::arg("max_spin"), nb::arg("reconnect"),
           nb::arg("observer") = false, nb::arg("keeper") = false)
      .def("_next", &SubscriberBase::next, nb::arg("timeout").none(),
           nb::sig("def _next(self, timeout: float | None) -> FrameT | None"),
           "What recv() does, but None at the end of the channel, with reconnect=True too; waits.")
      .def("_try_next", &SubscriberBase::try_next, nb::sig("def _try_next(self) -> FrameT | None"),
           "The next frame or None; StopAsyncIteration at the end of the channel.")
      .def(
          "fileno", &SubscriberBase::fileno,
          "A descriptor that becomes readable when there may be something new; then call try_recv() until it is "
          "None.\n\nFor select, selectors, asyncio and the like. It belongs to this Subscriber and must not be read or "
          "closed.")
      .def("_leave", &SubscriberBase::close, "Leaves the channel; held frames stay valid.")
      .def_prop_ro("closed", &SubscriberBase::is_closed, "Whether close() was called.")
      .def("_figures", &SubscriberBase::statistics, nb::sig("def _figures(self) -> dict[str, typing.Any]"),
           "Counts and measurements, see framebus.Statistics.");
}

}  // namespace framebus_python
