// SPDX-License-Identifier: Apache-2.0
// Methods that are called for every frame, as CPython's own are made: functions of a type that take their arguments as
// an array (METH_FASTCALL).
//
// A program that has slept for 10 ms finds its caches cold. A Python frame, or the dispatcher of a bound function, then
// takes as long as the whole native call. So these methods have neither. Their classes are bound by nanobind, which
// still owns the objects, and so are all their other methods.
//
// Promise: arguments are accepted and refused as by a Python function with the same signature, and what is thrown is
// raised as by a bound function.
#pragma once

#include <nanobind/nanobind.h>

#include <array>
#include <cstddef>

#include "call_python.hpp"

namespace framebus_python {

namespace nb = nanobind;

// The arguments of one call, after self.
struct Arguments {
  PyObject* const* values;
  Py_ssize_t count;           // of those by position
  PyObject* names = nullptr;  // a tuple of those by keyword, whose values follow
};

// The parameters of one function: the first `by_position` may be passed by position too, the first `required` must be.
template <std::size_t N>
class Parameters {
 public:
  Parameters(const char* function, const std::array<const char*, N>& names, std::size_t by_position,
             std::size_t required)
      : function_(function), by_position_(by_position), required_(required) {
    for (std::size_t i = 0; i < N; ++i) names_[i] = PyUnicode_InternFromString(names[i]);  // as names in programs are
  }

  // The value of each parameter, null for one that was not passed. Throws TypeError.
  std::array<PyObject*, N> read(const Arguments& given) const {
    std::array<PyObject*, N> values{};
    if (given.count > static_cast<Py_ssize_t>(by_position_)) {
      if (required_ == by_position_) {
        fail("%s() takes %zu positional arguments but %zd were given", function_, by_position_ + 1, given.count + 1);
      }
      fail("%s() takes from %zu to %zu positional arguments but %zd were given", function_, required_ + 1,
           by_position_ + 1, given.count + 1);
    }
    for (Py_ssize_t i = 0; i < given.count; ++i) values[static_cast<std::size_t>(i)] = given.values[i];
    const Py_ssize_t keywords = given.names == nullptr ? 0 : PyTuple_GET_SIZE(given.names);
    for (Py_ssize_t k = 0; k < keywords; ++k) {
      PyObject* name = PyTuple_GET_ITEM(given.names, k);
      PyObject*& value = values[position_of(name)];
      if (value != nullptr) fail("%s() got multiple values for argument %R", function_, name);
      value = given.values[given.count + k];
    }
    for (std::size_t i = 0; i < required_; ++i) {
      if (values[i] == nullptr) fail("%s() missing 1 required positional argument: %R", function_, names_[i]);
    }
    return values;
  }

 private:
  [[nodiscard]] std::size_t position_of(PyObject* name) const {
    for (std::size_t i = 0; i < N; ++i) {
      if (names_[i] == name) return i;
    }
    for (std::size_t i = 0; i < N; ++i) {  // a name that was made while the program runs
      if (PyUnicode_Compare(names_[i], name) == 0) return i;
    }
    fail("%s() got an unexpected keyword argument %R", function_, name);
  }
  template <class... Parts>
  [[noreturn]] static void fail(const char* format, Parts... parts) {
    PyErr_Format(PyExc_TypeError, format, parts...);
    throw nb::python_error();
  }

  const char* function_;
  std::array<PyObject*, N> names_;  // until the end of the interpreter
  std::size_t by_position_, required_;
};

inline nb::handle or_none(PyObject* value) { return value == nullptr ? Py_None : value; }

// In a catch block: raises in Python what a bound function would raise. Returns null.
PyObject* raise_current() noexcept;

// The T of an object. RuntimeError where a subclass has an __init__() that does not call that of its base.
template <class T>
T& object_of(PyObject* self) {
  if (!nb::inst_ready(self)) {
    PyErr_Format(PyExc_RuntimeError, "%s.__init__() has not run; call super().__init__() in the subclass first",
                 Py_TYPE(self)->tp_name);
    throw nb::python_error();
  }
  return *nb::inst_ptr<T>(self);
}

// Function: nb::object(PyObject* self, const Arguments&). A null object is an error that is set already. The thread
// stops here if the interpreter ends inside a call of the C API that does not go through call_python.hpp.
template <auto Function>
PyObject* with_arguments(PyObject* self, PyObject* const* values, Py_ssize_t count, PyObject* names) noexcept {
  try {
    return run_python([&] { return Function(self, Arguments{values, count, names}).release().ptr(); });
  } catch (...) {
    return raise_current();
  }
}

// Function: nb::object(PyObject* self). The same.
template <auto Function>
PyObject* without_arguments(PyObject* self) noexcept {
  try {
    return run_python([&] { return Function(self).release().ptr(); });
  } catch (...) {
    return raise_current();
  }
}

// For types that are generic in the stub: Type[X] is an alias, of which a class may derive.
inline constexpr PyMethodDef kClassGetItem = {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS,
                                              "__class_getitem__($type, item, /)\n--\n\nFor type checkers."};

// An entry of a type's table of methods. `doc` begins with the signature: "name($self, image, *, meta=None)\n--\n\n".
template <auto Function>
PyMethodDef method_with_arguments(const char* name, const char* doc) {
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(with_arguments<Function>)),
          METH_FASTCALL | METH_KEYWORDS, doc};
}
template <auto Function>
PyMethodDef method_without_arguments(const char* name, const char* doc) {
  return {name, [](PyObject* self, PyObject*) { return without_arguments<Function>(self); }, METH_NOARGS, doc};
}

}  // namespace framebus_python
