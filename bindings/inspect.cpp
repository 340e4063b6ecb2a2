// SPDX-License-Identifier: Apache-2.0
// Inspecting channels from Python: the reports as plain dicts.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <framebus/inspect.hpp>
#include <string>

#include "convert.hpp"

namespace framebus_python {

namespace {

nb::str text(std::string_view bytes) {
  return nb::steal<nb::str>(PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace"));
}

nb::dict participant(const framebus::Participant& p) {
  nb::dict d;
  d["pid"] = p.pid;
  d["command"] = text(p.command);
  d["alive"] = p.alive;
  d["every"] = p.every;
  d["held"] = p.held;
  d["frames"] = p.frames;
  d["missed"] = p.missed;
  d["dropped"] = p.dropped;
  return d;
}

nb::list arrays(const framebus::detail::Descriptor& frame) {
  nb::list list;
  for (std::uint32_t i = 0; i < frame.array_count; ++i) {
    const framebus::detail::ArrayInfo& a = frame.arrays[i];
    nb::list shape;
    for (std::uint32_t k = 0; k < a.ndim; ++k) shape.append(a.shape[k]);
    const std::string dtype =
        std::string(1, static_cast<char>(a.type.order)) + static_cast<char>(a.type.kind) + std::to_string(a.type.bytes);
    list.append(nb::make_tuple(text(a.name()), nb::tuple(shape), dtype));
  }
  return list;
}

nb::object inspect(const std::string& name) {
  const auto report = framebus::inspect(name);
  if (!report) return nb::none();
  nb::dict d;
  d["publisher"] = participant(report->publisher);
  d["closed"] = report->closed;
  nb::list subscribers;
  for (const auto& p : report->subscribers) subscribers.append(participant(p));
  d["subscribers"] = subscribers;
  d["seq"] = report->seq;
  d["size_bytes"] = report->memory_bytes;
  d["rate_hz"] = report->rate_hz;
  d["arrays"] = report->newest ? arrays(*report->newest) : nb::list();
  d["pixel_format"] = report->newest && report->newest->pixel_format_bytes != 0
                          ? nb::object(text(report->newest->pixel_format()))
                          : nb::none();
  return d;
}

}  // namespace

void bind_inspect(nb::module_& m) {
  m.def("channel_names", &framebus::detail::channel_names, "The names of all channels that have a control block.");
  m.def("inspect", &inspect, nb::arg("name"), nb::sig("def inspect(name: str) -> dict[str, typing.Any] | None"),
        "The state of a channel, or None if there is none.");
}

}  // namespace framebus_python
