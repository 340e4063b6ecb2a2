// SPDX-License-Identifier: Apache-2.0
// Methods that call native code directly in the usual case.
//
// A Shortcut replaces a method of a Python class that keeps a native object in a slot called `_native`. Called in the
// usual way, it calls the native object itself, and the method does not run; called in any other way, or on an instance
// of a subclass, it calls the method. So the method is complete and works alone.
//
// The gain is not in instructions. A program that has slept for 10 ms finds its caches cold, and a Python frame between
// it and the native call then takes as long as the whole native call.
#pragma once

#include <nanobind/nanobind.h>

namespace framebus_python {

namespace nb = nanobind;

// Calls `native` with the `args` after self. Null without an error: not the usual call, so call the method.
using Quick = PyObject* (*)(PyObject* native, PyObject* const* args, Py_ssize_t count, PyObject* names);

// Adds the decorator `name` to the module.
void bind_shortcut(nb::module_& m, const char* name, Quick quick);

// In a catch block: raises in Python what a bound function would raise. Returns null.
PyObject* raise_current() noexcept;

// Is there no keyword argument but `timeout=`? Then sets `timeout`, if it was passed.
inline bool only_timeout(PyObject* const* args, Py_ssize_t count, PyObject* names, PyObject*& timeout) {
  if (names == nullptr) return true;
  static PyObject* const kTimeout = PyUnicode_InternFromString("timeout");  // as names in programs are
  if (PyTuple_GET_SIZE(names) != 1 || PyTuple_GET_ITEM(names, 0) != kTimeout) return false;
  timeout = args[count];
  return true;
}

}  // namespace framebus_python
