// SPDX-License-Identifier: Apache-2.0
// All of framebus for C++: Publisher, Loan, Subscriber, Frame, wait_any.
#pragma once

#include "publisher.hpp"
#include "subscriber.hpp"
#include "wait_any.hpp"
