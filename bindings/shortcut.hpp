// SPDX-License-Identifier: Apache-2.0
// Python methods that skip themselves.
//
// A Shortcut stands for a method of a Python class that keeps a native object in a slot called `_native`. Called in the
// most usual way, it calls the native object itself, and the method never runs; called in any other way, or on an
// instance of a subclass, it calls the method. So the method says all there is to say about it, and works alone.
//
// What it saves is not instructions. A program that has slept for 10 ms finds its caches cold, and a Python frame
// between it and the native call then takes as long as the whole native call.
#pragma once

#include <nanobind/nanobind.h>

namespace framebus_python {

namespace nb = nanobind;

// Does the call of `native` with `args` behind self. Null without an error: not the usual way, so call the method.
using Quick = PyObject* (*)(PyObject* native, PyObject* const* args, Py_ssize_t count, PyObject* names);

// Adds the decorator `name` to the module.
void bind_shortcut(nb::module_& m, const char* name, Quick quick);

// In a catch block: raises in Python what a bound function would have. Returns null.
PyObject* raise_current() noexcept;

// Is `timeout=` or nothing all that is given by name? Then `timeout` is set, if it is given.
inline bool only_timeout(PyObject* const* args, Py_ssize_t count, PyObject* names, PyObject*& timeout) {
  if (names == nullptr) return true;
  static PyObject* const kTimeout = PyUnicode_InternFromString("timeout");  // as names in programs are
  if (PyTuple_GET_SIZE(names) != 1 || PyTuple_GET_ITEM(names, 0) != kTimeout) return false;
  timeout = args[count];
  return true;
}

}  // namespace framebus_python
