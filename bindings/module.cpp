// SPDX-License-Identifier: Apache-2.0
// The extension module framebus._core. It converts types, releases the GIL and ties arrays to their memory; it makes no
// decisions. Users import framebus, never this module.
#define FRAMEBUS_IMPORTS_NUMPY
#include <framebus/sigbus.hpp>

#include "convert.hpp"
#include "long_call.hpp"
#include "numpy_api.hpp"

namespace {

int import_numpy() {
  import_array1(-1);
  return 0;
}

// In a free-threaded interpreter, importing this module switches the GIL on, see CMakeLists.txt. If the user has
// disabled it (PYTHON_GIL=0, -X gil=0) it stays off, and the promises of this module would not hold.
void refuse_without_gil() {
  const auto asks = nanobind::getattr(nanobind::module_::import_("sys"), "_is_gil_enabled", nanobind::none());
  if (asks.is_none() || nanobind::cast<bool>(asks())) return;
  throw nanobind::import_error(
      "framebus needs the GIL, which this interpreter was told to do without; leave out PYTHON_GIL=0 or -X gil=0, and "
      "importing framebus switches the GIL on");
}

}  // namespace

NB_MODULE(_core, m) {
  refuse_without_gil();
  if (import_numpy() != 0) throw nanobind::python_error();
  m.doc() = "The native core of framebus. Private: import framebus instead.";
  nanobind::set_leak_warnings(false);  // a daemon thread that runs until the end keeps the objects it refers to
  m.attr("LAYOUT_VERSION") = framebus::detail::kLayoutVersion;
  m.attr("MAX_ARRAYS") = framebus::detail::kMaxArrays;
  m.attr("MAX_DIMENSIONS") = framebus::detail::kMaxDims;
  m.attr("MAX_NAME_BYTES") = framebus::detail::kNameBytes;
  m.attr("MAX_META_BYTES") = framebus::kMaxMetaBytes;
  m.def("begin_exit", &framebus_python::begin_exit,
        "At exit: other threads that wait in this module stop permanently.");
  m.def("end_long_calls", &framebus_python::end_long_calls,
        "At exit, after all handles are closed: waits until those threads have stopped. False if they took too long.");
  m.def(
      "leave_sessions", [] { framebus::detail::Participation::instance().leave_sessions(); },
      "At the end of a process that ends by os._exit(): gives up the reader records that frames still hold. Those "
      "frames stay readable, and their slots may be reused.");
  m.def("fill_standard_fds", &framebus::detail::os::fill_standard_fds,
        "Opens /dev/null at each of the descriptors 0, 1 and 2 that is closed.");
  m.def("is_filler", &framebus::detail::os::is_filler, nanobind::arg("fd"),
        "Whether a descriptor is what fill_standard_fds() opened, here or in the program that started this one.");
  m.def("handle_sigbus", &framebus::handle_sigbus, nanobind::arg("on"),
        "Switches the handler for SIGBUS on or off; see framebus.handle_sigbus.");
  framebus_python::bind_errors(m);
  framebus_python::bind_native_methods(m);
  framebus_python::bind_frame(m);
  framebus_python::bind_loan(m);
  framebus_python::bind_publisher(m);
  framebus_python::bind_subscriber(m);
  framebus_python::bind_wait_any(m);
  framebus_python::bind_wakeup(m);
  framebus_python::bind_inspect(m);
  framebus_python::bind_doctor(m);
}
