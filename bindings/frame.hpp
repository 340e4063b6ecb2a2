// SPDX-License-Identifier: Apache-2.0
// framebus.Frame for the other files of the bindings.
#pragma once

#include <nanobind/nanobind.h>

#include <framebus/framebus.hpp>

namespace framebus_python {

namespace nb = nanobind;

// A framebus.Frame that holds the received frame.
nb::object python_frame(framebus::Frame&& frame);

// Runs the code that receives and uses a frame with an empty one. To be called in a LongCall.
void warm_up();

}  // namespace framebus_python
