// SPDX-License-Identifier: Apache-2.0
// The operating system, as framebus needs it: files, locks, futex, process. One folder a system.
#pragma once

#if defined(__linux__)
#include "linux/cores.hpp"
#include "linux/fds.hpp"
#include "linux/file.hpp"
#include "linux/futex.hpp"
#include "linux/futex_many.hpp"
#include "linux/futex_ring.hpp"
#include "linux/lock.hpp"
#include "linux/process.hpp"
#else
#error "framebus: this system is not supported yet; the folder os/linux shows what one has to provide"
#endif
