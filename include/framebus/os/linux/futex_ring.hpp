// SPDX-License-Identifier: Apache-2.0
// An io_uring that signals an eventfd when a futex word changes, without a thread that sleeps (Linux 6.7).
//
// Promise: after wait(word, expected) the eventfd is signalled once the word is woken, or at once if the word has
// changed already. At most one such wait is in progress; has_completed() says without a system call whether it is over,
// and wait() does nothing if it is not. The eventfd may be signalled once more when the next wait() begins.
//
// Only the thread that created the ring may begin a wait; in other threads wait() returns false unless one is in
// progress. In exchange the kernel touches only the eventfd when it signals and does the rest of its work in the next
// wait() (DEFER_TASKRUN). Otherwise it would interrupt the thread, which would return from epoll_wait twice.
//
// open() returns nullptr if the kernel does not have this, a sandbox or an administrator forbids it, or no descriptor
// is left. A thread then does the same, see fallback_notifier.hpp. The structures of the kernel's interface are
// declared here, since headers are often older than kernels.
#pragma once

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "framebus/base/atomic.hpp"
#include "framebus/base/namespace.hpp"
#include "framebus/os/linux/fds.hpp"
#include "framebus/os/linux/file.hpp"
#include "framebus/os/linux/futex_many.hpp"
#include "framebus/os/linux/process.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail::os {

class FutexRing {
 public:
  static constexpr long kSetup = kIoUringSetup;

  // nullptr if it is not available.
  static std::unique_ptr<FutexRing> open(int eventfd) {
    std::unique_ptr<FutexRing> ring(new FutexRing);
    return ring->set_up(eventfd) ? std::move(ring) : nullptr;
  }
  FutexRing(const FutexRing&) = delete;
  FutexRing& operator=(const FutexRing&) = delete;
  ~FutexRing() {
    ForkGuard::instance().remove(&fd_);
    if (rings_ != MAP_FAILED) ::munmap(rings_, rings_bytes_);
    if (entries_ != MAP_FAILED) ::munmap(entries_, kEntriesBytes);
  }

  // False: this thread may not begin a wait, or the kernel can't any more.
  bool wait(const Atomic<std::uint32_t>& word, std::uint32_t expected) noexcept {
    if (!has_completed()) return true;
    if (failed_) return false;
    const std::uint32_t tail = *submitted_;  // only this side writes it
    Entry& entry = static_cast<Entry*>(entries_)[tail % kEntries];
    entry = {};
    entry.opcode = kFutexWait;
    entry.flags_of_word = static_cast<std::int32_t>(kSharedWord32);
    entry.expected = expected;
    entry.address = reinterpret_cast<std::uint64_t>(&word);
    entry.bits = ~std::uint32_t{0};
    order_[tail % kEntries] = tail % kEntries;
    at(submitted_).store(tail + 1, std::memory_order_release);  // pairs with the kernel's acquire in io_uring_enter
    // Also does what the previous wait has deferred.
    if (::syscall(kEnter, fd_.fd(), 1U, 0U, kGetEvents, nullptr, 0) != 1) {
      at(submitted_).store(tail, std::memory_order_release);  // the kernel has not taken it
      return false;
    }
    ++begun_;
    return true;
  }

  // Is no wait in progress?
  [[nodiscard]] bool has_completed() noexcept {
    // What the kernel has finished and what it has deferred to the next wait(); acquire: pairs with its release.
    const std::uint32_t finished = at(completed_).load(std::memory_order_acquire);
    for (std::uint32_t taken = *taken_; taken != finished; ++taken) {  // only this side writes it
      const std::int32_t result = completions_[taken % completion_count_].result;
      failed_ |=
          result != 0 && result != -EAGAIN && result != -ECANCELED;  // woken; changed before; its thread has ended
    }
    at(taken_).store(finished, std::memory_order_release);
    return finished == begun_ || (at(state_).load(std::memory_order_acquire) & kPutOff) != 0;
  }

  // Has the kernel accepted a wait that then failed?
  [[nodiscard]] bool has_failed() const noexcept { return failed_; }

 private:
  struct SubmissionOffsets {
    std::uint32_t head, tail, mask, count, state, dropped, order, reserved;
    std::uint64_t address;
  };
  struct CompletionOffsets {
    std::uint32_t head, tail, mask, count, overflow, completions, state, reserved;
    std::uint64_t address;
  };
  struct Parameters {  // struct io_uring_params
    std::uint32_t submissions, completions, flags, cpu, idle, features, other, reserved[3];
    SubmissionOffsets submission;
    CompletionOffsets completion;
  };
  struct Entry {  // struct io_uring_sqe as IORING_OP_FUTEX_WAIT reads it
    std::uint8_t opcode, flags;
    std::uint16_t priority;
    std::int32_t flags_of_word;
    std::uint64_t expected;
    std::uint64_t address;
    std::uint32_t length, more_flags;
    std::uint64_t tag;
    std::uint32_t unused[2];
    std::uint64_t bits;
    std::uint64_t reserved;
  };
  struct Completion {  // struct io_uring_cqe
    std::uint64_t tag;
    std::int32_t result;
    std::uint32_t flags;
  };
  struct Operation {
    std::uint8_t opcode, reserved;
    std::uint16_t flags;
    std::uint32_t more;
  };
  struct Probe {  // struct io_uring_probe
    std::uint8_t last, count;
    std::uint16_t reserved;
    std::uint32_t more[3];
    std::array<Operation, 64> operations;
  };
  static_assert(sizeof(Parameters) == 120 && sizeof(Entry) == 64 && sizeof(Probe) == 16 + 64 * 8 &&
                sizeof(Completion) == 16);

  static constexpr long kEnter = 426, kRegister = 427;
  static constexpr std::uint32_t kEntries = 2;
  static constexpr std::size_t kEntriesBytes = kEntries * sizeof(Entry);
  static constexpr std::uint8_t kFutexWait = 51;                          // IORING_OP_FUTEX_WAIT
  static constexpr std::uint32_t kFlags = 1U << 9 | 1U << 12 | 1U << 13;  // TASKRUN_FLAG, SINGLE_ISSUER, DEFER_TASKRUN
  static constexpr std::uint32_t kPutOff = 1U << 2;                       // IORING_SQ_TASKRUN
  static constexpr std::uint32_t kGetEvents = 1;                          // IORING_ENTER_GETEVENTS
  static constexpr std::uint32_t kRegisterEventfd = 4, kRegisterProbe = 8;  // IORING_REGISTER_...
  static constexpr std::uint16_t kSupported = 1;                            // IO_URING_OP_SUPPORTED
  static constexpr std::uint32_t kOneMapping = 1;                           // IORING_FEAT_SINGLE_MMAP
  static constexpr off_t kRings = 0, kSubmissionEntries = 0x10000000;       // IORING_OFF_...

  FutexRing() = default;

  bool set_up(int eventfd) {
    Parameters p{};
    p.flags = kFlags;
    fd_ = File(open_io_uring(kEntries, &p));
    if (!fd_.is_open()) return false;
    ForkGuard::instance().add(&fd_);
    if ((p.features & kOneMapping) == 0 || !has_futex_wait()) return false;
    if (::syscall(kRegister, fd_.fd(), kRegisterEventfd, &eventfd, 1U) != 0) return false;
    rings_bytes_ = std::max<std::size_t>(p.submission.order + kEntries * sizeof(std::uint32_t),
                                         p.completion.completions + p.completions * sizeof(Completion));
    rings_ = map(rings_bytes_, kRings);
    entries_ = map(kEntriesBytes, kSubmissionEntries);
    if (rings_ == MAP_FAILED || entries_ == MAP_FAILED) return false;
    submitted_ = word_at(p.submission.tail);
    state_ = word_at(p.submission.state);
    order_ = word_at(p.submission.order);
    taken_ = word_at(p.completion.head);
    completed_ = word_at(p.completion.tail);
    completions_ = reinterpret_cast<const Completion*>(static_cast<std::byte*>(rings_) + p.completion.completions);
    completion_count_ = p.completions;
    return true;
  }
  [[nodiscard]] bool has_futex_wait() const noexcept {
    Probe probe{};
    return ::syscall(kRegister, fd_.fd(), kRegisterProbe, &probe, probe.operations.size()) == 0 &&
           probe.last >= kFutexWait && (probe.operations[kFutexWait].flags & kSupported) != 0;
  }
  [[nodiscard]] void* map(std::size_t bytes, off_t what) const noexcept {
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_.fd(), what);
    if (at != MAP_FAILED) static_cast<void>(::madvise(at, bytes, MADV_DONTFORK));
    return at;
  }
  [[nodiscard]] std::uint32_t* word_at(std::uint32_t offset) const noexcept {
    return reinterpret_cast<std::uint32_t*>(static_cast<std::byte*>(rings_) + offset);
  }
  static std::atomic_ref<std::uint32_t> at(std::uint32_t* word) noexcept {
    return std::atomic_ref<std::uint32_t>(*word);
  }

  File fd_;
  void* rings_ = MAP_FAILED;
  void* entries_ = MAP_FAILED;
  std::size_t rings_bytes_ = 0;
  // In the rings: the number of submissions, the kernel's state, the order of entries, the number of completions that
  // were taken here and that the kernel has written.
  std::uint32_t *submitted_ = nullptr, *state_ = nullptr, *order_ = nullptr, *taken_ = nullptr, *completed_ = nullptr;
  const Completion* completions_ = nullptr;
  std::uint32_t completion_count_ = 0;
  std::uint32_t begun_ = 0;
  bool failed_ = false;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os
