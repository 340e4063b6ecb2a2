// SPDX-License-Identifier: Apache-2.0
// Turns framebus::Error into the Python classes of framebus.errors.
#include <array>
#include <cstring>
#include <exception>
#include <framebus/error.hpp>
#include <string>

#include "convert.hpp"

namespace framebus_python {

namespace {

// In the order of framebus::Errc, up to invalid_argument, which is Python's own ValueError.
constexpr std::array kNames = {
    "ChannelNotFound", "ChannelInUse",       "ChannelClosed",  "PublisherDied",      "Timeout",
    "ChannelFull",     "ChannelFullTimeout", "TooManyHeld",    "TooManySubscribers", "TooManySlots",
    "FrameTooLarge",   "LayoutMismatch",     "CorruptChannel", "InvalidName",        "LoanEnded",
    "FrameReleased",   "ForkedChild",        "Error",  // moved_from, which Python never is
};
constexpr std::size_t position_of(framebus::Errc code) { return static_cast<std::size_t>(code) - 1; }
static_assert(kNames.size() == position_of(framebus::Errc::invalid_argument));

void set_error(const char* name, const framebus::Error& error) {
  const nb::object type = nb::module_::import_("framebus.errors").attr(name);
  // It may quote another program's command line, which was cut to fit and may not be UTF-8.
  const char* message = error.what();
  nb::object value = nb::steal(PyUnicode_DecodeUTF8(message, static_cast<Py_ssize_t>(std::strlen(message)), "replace"));
  if (error.error_number() != 0) {  // a subclass of OSError, which is made of these three
    const std::string path = error.path();
    const nb::object filename = path.empty() ? nb::none() : nb::steal(PyUnicode_DecodeFSDefault(path.c_str()));
    value = nb::make_tuple(error.error_number(), value, filename);
  }
  PyErr_SetObject(type.ptr(), value.ptr());
}

void translate(const std::exception_ptr& p, void* /*unused*/) {
  try {
    std::rethrow_exception(p);
  } catch (const framebus::Error& e) {
    switch (e.code()) {
      case framebus::Errc::invalid_argument:
        PyErr_SetString(PyExc_ValueError, e.what());
        return;
      case framebus::Errc::permission_denied:
        set_error("PermissionDenied", e);
        return;
      case framebus::Errc::system:
        set_error("SystemFailure", e);
        return;
      default:
        set_error(kNames.at(position_of(e.code())), e);
    }
  }
}

}  // namespace

void bind_errors(nb::module_& /*m*/) { nb::register_exception_translator(translate); }

}  // namespace framebus_python
