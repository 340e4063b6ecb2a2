// SPDX-License-Identifier: Apache-2.0
// Calls of Python functions from C++.
//
// Promise: a daemon thread that is inside such a call when the interpreter ends stops there permanently, without
// output. CPython before 3.14 ends such a thread where it next takes the GIL, by ending it, which unwinds its
// stack. C++ frames would then drop references without the GIL. So no C++ frame may be unwound: the call that is
// nearest to the interpreter catches the unwinding and never returns, which is what later versions of CPython do
// themselves.
#pragma once

#include <cxxabi.h>
#include <nanobind/nanobind.h>
#include <unistd.h>

namespace framebus_python {

namespace nb = nanobind;

template <class... Handles>
nb::object call_python(nb::handle function, const Handles&... arguments) {
  PyObject* const values[] = {arguments.ptr()..., nullptr};
  PyObject* result = nullptr;
#ifdef __GLIBCXX__  // the C++ library in which the end of a thread unwinds it
  try {
    result = PyObject_Vectorcall(function.ptr(), values, sizeof...(arguments), nullptr);
  } catch (const abi::__forced_unwind&) {
    for (;;) ::pause();
  }
#else
  result = PyObject_Vectorcall(function.ptr(), values, sizeof...(arguments), nullptr);
#endif
  if (result == nullptr) throw nb::python_error();
  return nb::steal(result);
}

}  // namespace framebus_python
