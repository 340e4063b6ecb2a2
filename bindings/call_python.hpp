// SPDX-License-Identifier: Apache-2.0
// Calls from C++ of what may run Python code.
//
// Promise: a daemon thread that is inside such a call when the interpreter ends stops there permanently, without
// output. CPython before 3.14 ends such a thread where it next takes the GIL, which unwinds its stack: C++ frames would
// drop references without the GIL. So the call that is nearest to the interpreter catches the unwinding and never
// returns. CPython from 3.14 on stops such threads itself.
//
// Functions that nanobind has bound convert their arguments before they get here, so a daemon thread that is inside an
// argument's own conversion is not covered.
#pragma once

#include <cxxabi.h>
#include <nanobind/nanobind.h>

#include <framebus/os/os.hpp>

namespace framebus_python {

namespace nb = nanobind;

// Returns call(). C++ objects inside `call` are still unwound, so it should call the C API once and own nothing.
template <class Call>
auto run_python(const Call& call) -> decltype(call()) {
#ifdef __GLIBCXX__  // the C++ library in which the end of a thread unwinds it
  try {
    return call();
  } catch (const abi::__forced_unwind&) {
    framebus::detail::os::stop_thread();
  }
#else
  return call();
#endif
}

// The same for what returns a new reference, or null with an error set.
template <class Call>
nb::object object_from_python(const Call& call) {
  PyObject* const result = run_python(call);
  if (result == nullptr) throw nb::python_error();
  return nb::steal(result);
}

template <class... Handles>
nb::object call_python(nb::handle function, const Handles&... arguments) {
  PyObject* const values[] = {arguments.ptr()..., nullptr};
  return object_from_python([&] { return PyObject_Vectorcall(function.ptr(), values, sizeof...(arguments), nullptr); });
}

}  // namespace framebus_python
