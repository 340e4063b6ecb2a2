// SPDX-License-Identifier: Apache-2.0
// Subscriber for Python.
#include <nanobind/stl/string.h>

#include <memory>
#include <string>
#include <utility>

#include "convert.hpp"
#include "frame.hpp"
#include "long_call.hpp"
#include "shortcut.hpp"

namespace framebus_python {

namespace {

using framebus::Frame;
using framebus::Subscriber;

class PySubscriber {
 public:
  PySubscriber(const std::string& name, bool every, std::int64_t hold, std::int64_t history, double connect_timeout,
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

  bool is_ended() const { return subscriber_->is_ended(); }
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

PyTypeObject* subscriber_type = nullptr;  // until the end of the interpreter

// recv(), recv(1.0), recv(timeout=1.0)
PyObject* quick_recv(PyObject* native, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* timeout = count == 1 ? args[0] : Py_None;
  if (count > 1 || (count == 1 && names != nullptr) || !Py_IS_TYPE(native, subscriber_type)) return nullptr;
  if (!only_timeout(args, count, names, timeout)) return nullptr;
  try {
    return nb::inst_ptr<PySubscriber>(native)->recv(timeout).release().ptr();
  } catch (...) {
    return raise_current();
  }
}

PyObject* quick_try_recv(PyObject* native, PyObject* const* /*args*/, Py_ssize_t count, PyObject* names) {
  if (count != 0 || names != nullptr || !Py_IS_TYPE(native, subscriber_type)) return nullptr;
  try {
    return nb::inst_ptr<PySubscriber>(native)->try_recv().release().ptr();
  } catch (...) {
    return raise_current();
  }
}

// __next__()
PyObject* quick_next(PyObject* native, PyObject* const* /*args*/, Py_ssize_t count, PyObject* names) {
  if (count != 0 || names != nullptr || !Py_IS_TYPE(native, subscriber_type)) return nullptr;
  try {
    PyObject* frame = nb::inst_ptr<PySubscriber>(native)->next(Py_None).release().ptr();
    if (frame != Py_None) return frame;
    Py_DECREF(frame);
    PyErr_SetNone(PyExc_StopIteration);
    return nullptr;
  } catch (...) {
    return raise_current();
  }
}

}  // namespace

Subscriber& subscriber_of(nb::handle object) { return nb::cast<PySubscriber&>(object).core(); }

void bind_subscriber(nb::module_& m) {
  nb::class_<PySubscriber>(m, "Subscriber", "The receiving side of a channel.")
      .def(nb::init<const std::string&, bool, std::int64_t, std::int64_t, double, const std::string&, double, bool,
                    bool, bool>(),
           nb::arg("name"), nb::kw_only(), nb::arg("every"), nb::arg("hold"), nb::arg("history"),
           nb::arg("connect_timeout"), nb::arg("wait"), nb::arg("max_spin"), nb::arg("reconnect"),
           nb::arg("observer") = false, nb::arg("keeper") = false)
      .def("try_recv", &PySubscriber::try_recv, nb::sig("def try_recv(self) -> FrameBase | None"),
           "The next frame or None.")
      .def("recv", &PySubscriber::recv, nb::arg("timeout").none(),
           nb::sig("def recv(self, timeout: float | None) -> FrameBase"), "The next frame; waits.")
      .def("next", &PySubscriber::next, nb::arg("timeout").none(),
           nb::sig("def next(self, timeout: float | None) -> FrameBase | None"),
           "The next frame, None at the end of the channel; waits.")
      .def("try_next", &PySubscriber::try_next, nb::sig("def try_next(self) -> FrameBase | None"),
           "The next frame or None; StopAsyncIteration at the end of the channel.")
      .def("is_ended", &PySubscriber::is_ended,
           "Whether the publisher has closed the channel and no frame is left to fetch.")
      .def("fileno", &PySubscriber::fileno, "A descriptor that is readable when there may be a new frame.")
      .def("close", &PySubscriber::close, "Leaves the channel; held frames stay valid.")
      .def("is_closed", &PySubscriber::is_closed, "Whether close() was called.")
      .def("statistics", &PySubscriber::statistics, nb::sig("def statistics(self) -> dict[str, typing.Any]"),
           "Counts and measurements, see framebus.Statistics.");
  subscriber_type = reinterpret_cast<PyTypeObject*>(nb::type<PySubscriber>().inc_ref().ptr());
  bind_shortcut(m, "quick_recv", quick_recv);
  bind_shortcut(m, "quick_try_recv", quick_try_recv);
  bind_shortcut(m, "quick_next", quick_next);
}

}  // namespace framebus_python
