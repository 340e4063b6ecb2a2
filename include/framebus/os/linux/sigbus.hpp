// SPDX-License-Identifier: Apache-2.0
// Staying alive when somebody truncates a file that is mapped here.
//
// Touching a page beyond the end of a mapped file raises SIGBUS. The handler here, for a fault inside a Guarded range:
// marks the range as broken, puts a private page of zeros in the place of the page that is gone, and lets the
// instruction go on. Whoever uses the mapping asks is_broken() before it trusts what it read. Any other fault goes to
// the handler that was there before.
//
// Promises: nothing that is still there is replaced; the handler allocates nothing, takes no lock and calls mmap only.
// Limits (docs/robustness.md): the newest kRanges mappings at a time; a handler for SIGBUS that others install later
// must pass on what it does not know. FRAMEBUS_SIGBUS=off in the environment, or framebus::handle_sigbus(false),
// switches the handler off; the faults then go where they would go without it.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "framebus/base/namespace.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail::os {

// A mapped range, or a free place in the table of them. Only its Guard writes it, but for `broken`.
struct GuardedRange {
  std::atomic<std::uintptr_t> begin{0};  // 0: free, 1: being filled in
  std::atomic<std::uintptr_t> end{0};
  std::atomic<bool> writable{false};
  std::atomic<bool> broken{false};
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

inline constexpr std::size_t kRanges = 1024;

// Constant-initialised, never destroyed: the handler may need it at any time.
inline constinit GuardedRange guarded_ranges[kRanges];
inline constinit std::atomic<bool> sigbus_is_off{false};
inline constinit bool sigbus_is_installed = false;  // also behind a later handler of another library
inline constinit struct sigaction sigbus_before = {};
inline constinit std::uintptr_t system_page = 4096;

// Puts zeros where a page of a guarded range is gone. False: not one of ours.
inline bool replace_page(std::uintptr_t address) noexcept {
  for (GuardedRange& range : guarded_ranges) {
    // Acquire: pairs with the release store in Guard. A place that changes hands meanwhile is not the one we look for.
    const std::uintptr_t begin = range.begin.load(std::memory_order_acquire);
    if (begin <= 1 || address < begin || address >= range.end.load(std::memory_order_acquire)) continue;
    if (range.begin.load(std::memory_order_acquire) != begin) continue;
    range.broken.store(true, std::memory_order_release);  // before anybody can read a zero
    const int access = range.writable.load(std::memory_order_relaxed) ? PROT_READ | PROT_WRITE : PROT_READ;
    void* page = reinterpret_cast<void*>(address / system_page * system_page);  // NOLINT: that is where it was
    return ::mmap(page, system_page, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
  }
  return false;
}

// Does what would have happened without us.
inline void pass_on_sigbus(int number, siginfo_t* info, void* context) noexcept {
  if ((sigbus_before.sa_flags & SA_SIGINFO) != 0) {
    sigbus_before.sa_sigaction(number, info, context);
  } else if (sigbus_before.sa_handler != SIG_DFL && sigbus_before.sa_handler != SIG_IGN) {
    sigbus_before.sa_handler(number);
  } else if (sigbus_before.sa_handler == SIG_DFL || info->si_code > 0) {  // a fault can't be ignored
    std::signal(number, SIG_DFL);
    std::raise(number);  // comes as soon as this handler has returned
  }
}

inline void on_sigbus(int number, siginfo_t* info, void* context) noexcept {
  const int error = errno;
  // Acquire: pairs with the stores in handle_sigbus().
  const bool passed = sigbus_is_off.load(std::memory_order_acquire) || info->si_code != BUS_ADRERR;
  if (passed || !replace_page(reinterpret_cast<std::uintptr_t>(info->si_addr))) {
    pass_on_sigbus(number, info, context);
  }
  errno = error;
}

inline void install_sigbus_handler() noexcept {
  if (sigbus_is_installed) return;
  system_page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  struct sigaction ours = {};
  ours.sa_sigaction = &on_sigbus;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  ::sigemptyset(&ours.sa_mask);
  // Asked for first: from the moment that ours is there, it may need the one before.
  struct sigaction before = {};
  if (::sigaction(SIGBUS, nullptr, &before) != 0) return;
  sigbus_before = before;
  sigbus_is_installed = ::sigaction(SIGBUS, &ours, nullptr) == 0;
}

// Puts back the handler that was there before. One that another library has installed later stays, and so does ours,
// which that one may call: it then passes all faults on.
inline void remove_sigbus_handler() noexcept {
  struct sigaction now = {};
  if (!sigbus_is_installed || ::sigaction(SIGBUS, nullptr, &now) != 0) return;
  if ((now.sa_flags & SA_SIGINFO) == 0 || now.sa_sigaction != &on_sigbus) return;
  sigbus_is_installed = ::sigaction(SIGBUS, &sigbus_before, nullptr) != 0;
}

inline void handle_sigbus(bool on) noexcept {
  sigbus_is_off.store(!on, std::memory_order_release);
  on ? install_sigbus_handler() : remove_sigbus_handler();
}

// Once for each process, before the first mapping or call of handle_sigbus(): what the environment says.
inline void begin_sigbus() noexcept {
  static const bool begun = [] {
    const char* setting = std::getenv("FRAMEBUS_SIGBUS");
    handle_sigbus(setting == nullptr || std::string_view(setting) != "off");
    return true;
  }();
  static_cast<void>(begun);
}

// Keeps one mapped range in the table for as long as it lives.
class Guard {
 public:
  Guard() = default;
  Guard(const void* begin, std::uint64_t bytes, bool writable) noexcept {
    begin_sigbus();
    const auto first = reinterpret_cast<std::uintptr_t>(begin);
    for (GuardedRange& range : guarded_ranges) {
      std::uintptr_t free = 0;
      if (!range.begin.compare_exchange_strong(free, 1)) continue;
      range.broken.store(false, std::memory_order_relaxed);  // relaxed, all three: the last store releases them
      range.writable.store(writable, std::memory_order_relaxed);
      range.end.store(first + bytes, std::memory_order_relaxed);
      range.begin.store(first, std::memory_order_release);
      range_ = &range;
      return;
    }
  }
  Guard(Guard&& other) noexcept : range_(std::exchange(other.range_, nullptr)) {}
  Guard& operator=(Guard&& other) noexcept {
    std::swap(range_, other.range_);
    return *this;
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard() {
    if (range_ != nullptr) range_->begin.store(0, std::memory_order_release);
  }

  // Has anything of the range been replaced by zeros? Acquire: pairs with replace_page(), also in another thread.
  [[nodiscard]] bool is_broken() const noexcept {
    return range_ != nullptr && range_->broken.load(std::memory_order_acquire);
  }

 private:
  GuardedRange* range_ = nullptr;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os
