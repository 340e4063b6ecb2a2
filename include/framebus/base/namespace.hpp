// SPDX-License-Identifier: Apache-2.0
// The version of the C++ interface, as an inline namespace, so that programs built against two versions can be linked
// together. Everything that is not API is in framebus::detail.
#pragma once

#include "framebus/base/namespace.hpp"

#define FRAMEBUS_VERSION v1
