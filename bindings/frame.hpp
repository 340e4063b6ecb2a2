// SPDX-License-Identifier: Apache-2.0
// Frames for Python.
#pragma once

#include <nanobind/nanobind.h>

#include <framebus/framebus.hpp>

namespace framebus_python {

namespace nb = nanobind;

// A framebus.Frame that holds what was fetched.
nb::object python_frame(framebus::Frame&& frame);

// Does what is done with a frame, with one that nobody sent. In a LongCall.
void warm_up();

}  // namespace framebus_python
