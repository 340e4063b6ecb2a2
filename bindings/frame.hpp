// SPDX-License-Identifier: Apache-2.0
// Frames for Python.
#pragma once

#include <nanobind/nanobind.h>

#include <framebus/framebus.hpp>

namespace framebus_python {

namespace nb = nanobind;

// A framebus.Frame that holds what was fetched.
nb::object python_frame(framebus::Frame&& frame);

// Makes a frame and an array of nothing and lets go of them.
void warm_frames();

}  // namespace framebus_python
