// SPDX-License-Identifier: Apache-2.0
// The operating system services that framebus needs: files, locks, futexes, processes. One folder for each system.
#pragma once

#if defined(__linux__)
#include "framebus/os/linux/cores.hpp"
#include "framebus/os/linux/fds.hpp"
#include "framebus/os/linux/file.hpp"
#include "framebus/os/linux/futex.hpp"
#include "framebus/os/linux/futex_many.hpp"
#include "framebus/os/linux/futex_ring.hpp"
#include "framebus/os/linux/lock.hpp"
#include "framebus/os/linux/mapping.hpp"
#include "framebus/os/linux/process.hpp"
#include "framebus/os/linux/thread.hpp"
#else
#error "framebus: this system is not supported yet; the folder os/linux shows what one has to provide"
#endif
