// SPDX-License-Identifier: Apache-2.0
// Raises what is thrown: nanobind translates exceptions in bound functions only, so one of these throws it once more.
#include "native_method.hpp"

#include <exception>
#include <utility>

#include "convert.hpp"

namespace framebus_python {

namespace {

thread_local std::exception_ptr current;
PyObject* raise = nullptr;  // until the end of the interpreter

}  // namespace

PyObject* raise_current() noexcept {
  current = std::current_exception();
  return PyObject_CallNoArgs(raise);
}

void bind_native_methods(nb::module_& /*m*/) {
  raise = nb::cpp_function([] { std::rethrow_exception(std::exchange(current, nullptr)); }).release().ptr();
}

}  // namespace framebus_python
