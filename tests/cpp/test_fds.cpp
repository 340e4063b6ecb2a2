// SPDX-License-Identifier: Apache-2.0
// Descriptors stay off 0, 1 and 2, also while another thread closes these. Each check runs in a forked child with its
// own standard streams and returns its result as its exit status.
#include <sys/wait.h>

#include <atomic>
#include <cstdlib>
#include <framebus/framebus.hpp>
#include <framebus/os/os.hpp>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"

namespace {

using namespace framebus;
using namespace framebus::detail;

void close_standard_streams() {
  for (int fd = 0; fd < 3; ++fd) ::close(fd);
}

// Runs the check in a child; returns its result.
bool in_child(const std::function<bool()>& question) {
  const pid_t child = ::fork();
  if (child == 0) {
    bool yes = false;
    try {
      yes = question();
    } catch (...) {
      yes = false;
    }
    ::_exit(yes ? 0 : 1);
  }
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool all_fillers() { return os::is_filler(0) && os::is_filler(1) && os::is_filler(2); }

void what_is_opened_is_above_two_and_fills_what_is_below() {
  CHECK(in_child([] {
    close_standard_streams();
    return os::open_path("/proc/self/cmdline", O_RDONLY) > 2 && all_fillers();
  }));
  CHECK(in_child([] {
    close_standard_streams();
    return os::open_eventfd() > 2 && all_fillers();
  }));
  CHECK(in_child([] {
    close_standard_streams();
    const os::File event(os::open_eventfd());
    close_standard_streams();
    static_cast<void>(os::FutexRing::open(event.fd()));  // may be forbidden, but has filled the numbers
    return all_fillers();
  }));
}

void only_what_is_closed_is_filled() {
  CHECK(in_child([] {
    ::close(1);
    os::fill_standard_fds();
    return !os::is_filler(0) && os::is_filler(1) && !os::is_filler(2);
  }));
}

void a_filler_is_told_from_a_null_device_of_the_users() {
  CHECK(in_child([] {
    close_standard_streams();
    const bool asked = ::open("/dev/null", O_RDWR) == 0;
    os::fill_standard_fds();
    return asked && !os::is_filler(0) && os::is_filler(1);
  }));
}

void a_filler_reads_as_ended_and_swallows_what_is_written() {
  CHECK(in_child([] {
    close_standard_streams();
    os::fill_standard_fds();
    char byte = 0;
    return ::read(0, &byte, 1) == 0 && ::write(1, "text", 4) == 4 && ::write(2, "text", 4) == 4;
  }));
}

void a_program_that_is_started_inherits_the_fillers_and_nothing_else() {
  CHECK(in_child([] {
    close_standard_streams();
    const os::File file(os::open_path("/proc/self/cmdline", O_RDONLY));
    const std::string kept = std::to_string(file.fd());
    ::execl("/bin/sh", "sh", "-c",
            "[ /dev/null -ef /proc/self/fd/0 ] && [ /dev/null -ef /proc/self/fd/1 ] && "
            "[ /dev/null -ef /proc/self/fd/2 ] && ! [ -e /proc/$$/fd/\"$1\" ]",
            "sh", kept.c_str(), nullptr);
    return false;
  }));
}

void errors_are_those_of_the_call() {
  CHECK(in_child([] {
    close_standard_streams();
    return os::open_path("/nowhere/at/all", O_RDONLY) == -1 && errno == ENOENT;
  }));
}

// Between the filling and the opening, so that descriptors do land below 3 and have to be moved. Not under
// ThreadSanitizer, whose own thread makes every fork one of a program with threads, and which then forbids more.
void a_thread_that_closes_them_meanwhile_changes_nothing() {
#ifndef __SANITIZE_THREAD__
  CHECK(in_child([] {
    std::atomic<bool> over{false};
    std::thread closer([&] {
      while (!over.load()) close_standard_streams();
    });
    bool good = true;
    for (int i = 0; i < 2'000; ++i) {
      const os::File file(os::open_path("/proc/self/cmdline", O_RDONLY)), event(os::open_eventfd());
      good = good && (!file.is_open() || file.fd() > 2) && (!event.is_open() || event.fd() > 2);
    }
    over.store(true);
    closer.join();
    return good;
  }));
#endif
}

}  // namespace

int main() {
  what_is_opened_is_above_two_and_fills_what_is_below();
  only_what_is_closed_is_filled();
  a_filler_is_told_from_a_null_device_of_the_users();
  a_filler_reads_as_ended_and_swallows_what_is_written();
  a_program_that_is_started_inherits_the_fillers_and_nothing_else();
  errors_are_those_of_the_call();
  a_thread_that_closes_them_meanwhile_changes_nothing();
  return check::finish();
}
