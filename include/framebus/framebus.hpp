// SPDX-License-Identifier: Apache-2.0
// All of framebus for C++: Publisher, Loan, Subscriber, Frame.
#pragma once

#include "publisher.hpp"
#include "subscriber.hpp"
