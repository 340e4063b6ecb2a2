// SPDX-License-Identifier: Apache-2.0
// The findings about the files of all channels, for Python: as plain dicts.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <framebus/doctor.hpp>
#include <string>
#include <vector>

#include "convert.hpp"

namespace framebus_python {

namespace {

nb::str text(std::string_view bytes) {
  return nb::steal<nb::str>(PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace"));
}

const char* name_of(framebus::IssueKind kind) {
  switch (kind) {
    case framebus::IssueKind::stale_channel:
      return "stale channel";
    case framebus::IssueKind::orphaned_store:
      return "orphaned store";
    default:
      return "foreign file";
  }
}

nb::list examine() {
  nb::list list;
  for (const framebus::Finding& finding : framebus::examine()) {
    nb::dict d;
    d["kind"] = name_of(finding.kind);
    d["path"] = nb::steal<nb::str>(
        PyUnicode_DecodeFSDefaultAndSize(finding.path.data(), static_cast<Py_ssize_t>(finding.path.size())));
    d["channel"] = finding.channel.empty() ? nb::none() : nb::object(text(finding.channel));
    d["why"] = text(finding.why);
    d["size_bytes"] = finding.bytes;
    d["owner"] = finding.owner;
    d["inode"] = finding.inode;
    d["dead"] = finding.dead;
    list.append(d);
  }
  return list;
}

}  // namespace

void bind_doctor(nb::module_& m) {
  m.def("examine", &examine, nb::sig("def examine() -> list[dict[str, typing.Any]]"),
        "The findings about the files of all channels.");
  m.def("clean_channel", &framebus::detail::clean_channel, nb::arg("channel"), nb::call_guard<nb::gil_scoped_release>(),
        "Removes every file of the channel that no live program can use; returns the paths.");
}

}  // namespace framebus_python
