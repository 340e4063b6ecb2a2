// SPDX-License-Identifier: Apache-2.0
// Arguments and waits between Python and the core.
#pragma once

#include <nanobind/nanobind.h>

#include <cmath>
#include <cstdint>
#include <framebus/statistics.hpp>
#include <framebus/subscriber.hpp>
#include <optional>
#include <string>

namespace framebus_python {

namespace nb = nanobind;

// Seconds or None to nanoseconds, -1 for ever.
inline std::int64_t timeout_ns(std::optional<double> seconds, const char* name = "timeout") {
  if (!seconds) return -1;
  if (std::isnan(*seconds) || *seconds < 0) {
    throw nb::value_error(
        (std::string(name) + " must be 0 or more seconds, or None, got " + nb::str(nb::float_(*seconds)).c_str())
            .c_str());
  }
  return *seconds > 9e9 ? -1 : static_cast<std::int64_t>(*seconds * 1e9);
}

// For framebus.Statistics, which has the same fields.
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
  d["rate_hz"] = s.rate_hz;
  d["latency_p50_s"] = s.latency_p50_s;
  d["latency_p99_s"] = s.latency_p99_s;
  return d;
}

// What a framebus._core.Subscriber is inside; a TypeError for anything else.
framebus::Subscriber& subscriber_of(nb::handle object);

// Registers, each in its own file.
void bind_errors(nb::module_& m);
void bind_publisher(nb::module_& m);
void bind_subscriber(nb::module_& m);
void bind_wait_any(nb::module_& m);
void bind_inspect(nb::module_& m);
void bind_doctor(nb::module_& m);

}  // namespace framebus_python
