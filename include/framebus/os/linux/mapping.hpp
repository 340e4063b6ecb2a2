// SPDX-License-Identifier: Apache-2.0
// Shared memory in this process: a file, mapped.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/os/linux/file.hpp"
#include "framebus/os/linux/sigbus.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail::os {

class Mapping {
 public:
  Mapping() = default;
  Mapping(const File& file, std::uint64_t bytes, bool writable) : bytes_(bytes) {
    void* p = ::mmap(nullptr, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file.fd(), 0);
    if (p == MAP_FAILED) fail_on(file, "cannot map " + std::to_string(bytes) + " bytes of shared memory");
    data_ = static_cast<std::byte*>(p);
    guard_ = Guard(data_, bytes, writable);
  }
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_), guard_(std::move(other.guard_)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(guard_, other.guard_);
    return *this;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    guard_ = Guard();  // before the range can be mapped by other code
    if (data_ != nullptr) ::munmap(data_, bytes_);
  }

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  // Maps the pages of a range now, in one call, instead of each at its first write. Only saves time: it fails on an old
  // kernel, and a missing page shows when it is touched.
  void populate(std::uint64_t offset, std::uint64_t bytes) const noexcept {
    constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, Linux 5.14
    if (bytes != 0) ::madvise(data_ + offset, bytes, kPopulateWrite);
  }

  // Was the file truncated while it was mapped? Then some of what is read here is zeros.
  [[nodiscard]] bool is_broken() const noexcept { return guard_.is_broken(); }

 private:
  std::byte* data_ = nullptr;
  std::uint64_t bytes_ = 0;
  Guard guard_;
};

}  // namespace framebus::inline FRAMEBUS_VERSION::detail::os
