// SPDX-License-Identifier: Apache-2.0
// Leaving the channels when the process exits: publishers that are still open, and reader records that frames still
// hold.
//
// Promises: after the return from main() or std::exit() this process is a participant of no channel, and the last one
// out has removed the files, whatever was left open: a handle on the heap, a frame in a variable of a thread that never
// ends, the locals of main(). Mappings stay until the process is gone. Programs that end by a signal, std::abort() or
// _exit() skip this; the kernel then drops their locks, and the next participant cleans up.
//
// Order: kAtExit is constructed before every static object of a file that includes framebus first, so it is destroyed
// after them; a static Subscriber leaves in its own destructor. First all handles are closed, so that no frame is held
// any more. Threads that still use one then stop in it permanently, because an error would call std::terminate() at
// this point. Then the reader records are given up.
//
// Locks: that of a list before those of its members, which are only waited for briefly: a signal handler that calls
// std::exit() may have interrupted the thread that holds them.
#pragma once

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/os/os.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

// Locks within a tenth of a second; otherwise owns_lock() is false.
inline std::unique_lock<std::mutex> lock_briefly(std::mutex& mutex) noexcept {
  std::unique_lock lock(mutex, std::try_to_lock);
  for (int i = 0; i < 100 && !lock.owns_lock(); ++i) {
    os::sleep_ns(1'000'000);
    lock = std::unique_lock(mutex, std::try_to_lock);
  }
  return lock;
}

// An object that leaves its channel when the process exits.
class ExitHandler {
 public:
  ExitHandler() = default;
  ExitHandler(const ExitHandler&) = delete;
  ExitHandler& operator=(const ExitHandler&) = delete;
  virtual void leave_at_exit() noexcept = 0;  // called once, with the list locked

 protected:
  ~ExitHandler() = default;
};

// All objects of one kind in this process.
class ExitHandlerList {
 public:
  void add(ExitHandler& exit_handler) {
    const std::lock_guard lock(mutex_);
    exit_handlers_.push_back(&exit_handler);
  }
  // Afterwards it is not called any more. Has no effect for an object that a forked child has inherited.
  void remove(ExitHandler& exit_handler) noexcept {
    const std::lock_guard lock(mutex_);
    std::erase(exit_handlers_, &exit_handler);
  }
  void leave_all() noexcept {
    const auto lock = lock_briefly(mutex_);
    if (!lock.owns_lock()) return;
    for (ExitHandler* exit_handler : exit_handlers_) exit_handler->leave_at_exit();
  }

 private:
  std::mutex mutex_;
  std::vector<ExitHandler*> exit_handlers_;
};

// The objects of this process that participate in channels. A forked child begins without any.
class Participation {
 public:
  static Participation& instance() { return os::of_this_process<Participation>(); }

  ExitHandlerList handles;   // publishers and subscribers
  ExitHandlerList sessions;  // reader records; last longer than their subscriber where frames are held

  // Gives up the reader records that frames still hold. Those frames are not protected any more.
  void leave_sessions() noexcept { sessions.leave_all(); }
  void leave_all() noexcept {
    ender_.store(std::this_thread::get_id());
    handles.leave_all();
    leave_sessions();
  }
  // For a thread that finds its handle closed. If the process is exiting, its program has not closed it.
  void stop_if_ending() const noexcept {
    const std::thread::id ender = ender_.load();
    if (ender == std::thread::id() || ender == std::this_thread::get_id()) return;
    os::stop_thread();
  }

 private:
  std::atomic<std::thread::id> ender_{};  // the thread in which the process exits
};

struct AtExit {
  AtExit() { Participation::instance(); }
  AtExit(const AtExit&) = delete;
  AtExit& operator=(const AtExit&) = delete;
  ~AtExit() { Participation::instance().leave_all(); }
};
inline const AtExit kAtExit;

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
