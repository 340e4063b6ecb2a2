// SPDX-License-Identifier: Apache-2.0
// A publisher in a separate process, to be killed.
//
// Promise: the channel exists when the constructor returns, and the process has died and been reaped after kill(), or
// when the object is destroyed.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <framebus/framebus.hpp>
#include <string>

#include "check.hpp"

class PublisherProcess {
 public:
  explicit PublisherProcess(const std::string& name) {
    int ready[2];
    CHECK(::pipe(ready) == 0);
    child_ = ::fork();
    if (child_ == 0) {
      const framebus::Publisher publisher(name);
      static_cast<void>(!::write(ready[1], "x", 1));
      for (;;) ::pause();
    }
    char byte = 0;
    CHECK(::read(ready[0], &byte, 1) == 1);
    ::close(ready[0]);
    ::close(ready[1]);
  }
  PublisherProcess(const PublisherProcess&) = delete;
  PublisherProcess& operator=(const PublisherProcess&) = delete;
  ~PublisherProcess() { kill(); }

  void kill() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = 0;
  }

 private:
  pid_t child_ = 0;
};
