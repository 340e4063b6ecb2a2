// SPDX-License-Identifier: Apache-2.0
// All of framebus for C++: Publisher, Loan, Subscriber, Frame, wait_any, handle_sigbus.
#pragma once

#include "framebus/publisher.hpp"
#include "framebus/sigbus.hpp"
#include "framebus/subscriber.hpp"
#include "framebus/wait_any.hpp"
