// SPDX-License-Identifier: Apache-2.0
// Survives the truncation of a mapped file.
//
// Touching a page beyond the end of a mapped file raises SIGBUS. For a fault inside a Guarded range, the handler here
// marks the range as broken, maps a private page of zeros in place of the missing page, and lets the instruction
// continue. Code that uses the mapping checks is_broken() before it trusts what it read. Any other fault goes to the
// previous handler.
//
// Promises: no page that still exists is replaced; the handler allocates nothing, takes no lock and calls mmap only.
// Limits (docs/robustness.md): the newest kRanges mappings at a time; a handler for SIGBUS that other code installs
// later must pass on the faults it does not handle. FRAMEBUS_SIGBUS=off in the environment, or
// framebus::handle_sigbus(false), switches the handler off; the faults then go where they would go without it.
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

// A mapped range, or a free entry of the table. Only its Guard writes it, except for `broken`.
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

// Maps zeros in place of a missing page of a guarded range. False: the address is in none.
inline bool replace_page(std::uintptr_t address) noexcept {
  for (GuardedRange& range : guarded_ranges) {
    // Acquire: pairs with the release store in Guard. An entry that is reused meanwhile is not the one we search.
    const std::uintptr_t begin = range.begin.load(std::memory_order_acquire);
    if (begin <= 1 || address < begin || address >= range.end.load(std::memory_order_acquire)) continue;
    if (range.begin.load(std::memory_order_acquire) != begin) continue;
    range.broken.store(true, std::memory_order_release);  // before a zero can be read
    const int access = range.writable.load(std::memory_order_relaxed) ? PROT_READ | PROT_WRITE : PROT_READ;
    void* page =
        reinterpret_cast<void*>(address / system_page * system_page);  // NOLINT: the address of the missing page
    return ::mmap(page, system_page, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
  }
  return false;
}

// Does what would have happened without this handler.
inline void pass_on_sigbus(int number, siginfo_t* info, void* context) noexcept {
  if ((sigbus_before.sa_flags & SA_SIGINFO) != 0) {
    sigbus_before.sa_sigaction(number, info, context);
  } else if (sigbus_before.sa_handler != SIG_DFL && sigbus_before.sa_handler != SIG_IGN) {
    sigbus_before.sa_handler(number);
  } else if (sigbus_before.sa_handler == SIG_DFL || info->si_code > 0) {  // a fault can't be ignored
    std::signal(number, SIG_DFL);
    std::raise(number);  // delivered as soon as this handler has returned
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
  // Read first: ours may need the previous one from the moment it is installed.
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

// Keeps one mapped range in the table while it exists.
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

  // Has any page of the range been replaced by zeros? Acquire: pairs with replace_page(), also in another thread.
  [[nodiscard]] bool is_broken() const noexcept {
    return range_ != nullptr && range_->broken.load(std::memory_order_acquire);
  }

 private:
  GuardedRange* range_ = nullptr;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os
