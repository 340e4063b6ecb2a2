// SPDX-License-Identifier: Apache-2.0
// Conversion of arguments and statistics between Python and the core.
#pragma once

#include <nanobind/nanobind.h>

#include <cmath>
#include <cstdint>
#include <framebus/statistics.hpp>
#include <framebus/subscriber.hpp>
#include <string>
#include <string_view>

#include "call_python.hpp"

namespace framebus_python {

namespace nb = nanobind;

// Functions that are called for every frame take their arguments unconverted and convert only those that are not None:
// converting arguments that were not passed used to take half of the time of such a call.

// Seconds to nanoseconds; -1 means without a limit.
inline std::int64_t seconds_to_ns(double seconds, const char* name) {
  if (std::isnan(seconds) || seconds < 0) {
    throw nb::value_error(
        (std::string(name) + " must be 0 or more seconds, or None, got " + nb::str(nb::float_(seconds)).c_str())
            .c_str());
  }
  return seconds > 9e9 ? -1 : static_cast<std::int64_t>(seconds * 1e9);
}

// A timeout, in seconds or None, to nanoseconds; -1 means without a limit.
inline std::int64_t timeout_ns(nb::handle timeout) {
  if (timeout.is_none()) return -1;
  const double seconds = run_python([&] { return PyFloat_AsDouble(timeout.ptr()); });
  if (seconds == -1.0 && PyErr_Occurred() != nullptr) {
    if (PyErr_ExceptionMatches(PyExc_TypeError) == 0) throw nb::python_error();
    PyErr_Clear();
    throw nb::type_error(
        (std::string("timeout must be seconds or None, got ") + nb::str(nb::repr(timeout)).c_str()).c_str());
  }
  return seconds_to_ns(seconds, "timeout");
}

// A time in nanoseconds; None means now, which is 0.
inline std::int64_t moment_ns(nb::handle moment, const char* name) {
  if (moment.is_none()) return 0;
  const nb::object number = nb::steal(run_python([&] { return PyNumber_Index(moment.ptr()); }));
  const std::int64_t ns = number.is_valid() ? PyLong_AsLongLong(number.ptr()) : -1;
  if (ns == -1 && PyErr_Occurred() != nullptr) {
    if (PyErr_ExceptionMatches(PyExc_TypeError) == 0 && PyErr_ExceptionMatches(PyExc_OverflowError) == 0) {
      throw nb::python_error();
    }
    PyErr_Clear();
    throw nb::type_error((std::string(name) + " must be an int of nanoseconds, at most 64 bits, or None, got " +
                          nb::str(nb::repr(moment)).c_str())
                             .c_str());
  }
  return ns;
}

// None means empty.
inline std::string_view bytes_view(nb::handle bytes) {
  if (bytes.is_none()) return {};
  const auto object = nb::cast<nb::bytes>(bytes);  // its owner keeps it
  return {object.c_str(), object.size()};
}
inline std::string_view text_view(nb::handle text) {
  if (text.is_none()) return {};
  Py_ssize_t size = 0;
  const char* chars = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (chars == nullptr) throw nb::python_error();
  return {chars, static_cast<std::size_t>(size)};
}

// The fields of framebus.Statistics.
inline nb::dict to_dict(const framebus::Statistics& s) {
  nb::dict d;
  d["frames"] = s.frames;
  d["bytes"] = s.bytes;
  d["dropped"] = s.dropped;
  d["missed"] = s.missed;
  d["held"] = s.held;
  d["subscribers"] = s.subscribers;
  d["pending"] = s.pending;
  d["slots"] = s.slots;
  d["generation"] = s.generation;
  d["memory_bytes"] = s.memory_bytes;
  d["sleeps"] = s.sleeps;
  d["wakeups"] = s.wakeups;
  d["spun_s"] = s.spun_s;
  d["rate_hz"] = s.rate_hz;
  d["latency_p50_s"] = s.latency_p50_s;
  d["latency_p99_s"] = s.latency_p99_s;
  return d;
}

// The core's Subscriber of a framebus.Subscriber; TypeError for any other object.
framebus::Subscriber& subscriber_of(nb::handle object);

// Each defines a part of the module, in its own file.
void bind_errors(nb::module_& m);
void bind_frame(nb::module_& m);
void bind_loan(nb::module_& m);
void bind_native_methods(nb::module_& m);
void bind_publisher(nb::module_& m);
void bind_subscriber(nb::module_& m);
void bind_wait_any(nb::module_& m);
void bind_wakeup(nb::module_& m);
void bind_inspect(nb::module_& m);
void bind_doctor(nb::module_& m);

}  // namespace framebus_python
