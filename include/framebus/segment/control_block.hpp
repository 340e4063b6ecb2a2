// SPDX-License-Identifier: Apache-2.0
// The control block of a channel as one participant has it: its own descriptor, its own mapping, checked.
//
// Promise: a Control is a complete control block of this layout, all of it mapped, its pages reserved. Values that
// other participants write later are still not trusted.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "framebus/base/namespace.hpp"
#include "framebus/error.hpp"
#include "framebus/layout/identity.hpp"
#include "framebus/layout/layout.hpp"
#include "framebus/layout/name.hpp"
#include "framebus/os/os.hpp"

namespace framebus::inline FRAMEBUS_VERSION::detail {

[[noreturn]] inline void fail_truncated(const std::string& path) {
  fail(Errc::corrupt_channel, path +
                                  ": was made shorter while it was in use, which framebus never does; close this end, "
                                  "find out which program writes to " +
                                  std::string(kDirectory) + ", and restart the publisher");
}

class Control {
 public:
  Control(std::string name, os::File file)
      : name_(std::move(name)), file_(std::move(file)), mapping_(os::reopen(file_, true), sizeof(ControlBlock), true) {
    os::ForkGuard::instance().add(&file_);
  }
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  ~Control() { os::ForkGuard::instance().remove(&file_); }

  [[nodiscard]] ControlBlock& block() const noexcept {
    return *std::launder(reinterpret_cast<ControlBlock*>(mapping_.data()));
  }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::string path() const { return control_path(name_); }
  [[nodiscard]] const os::File& file() const noexcept { return file_; }
  [[nodiscard]] os::File& file() noexcept { return file_; }
  [[nodiscard]] bool is_forked() const noexcept { return mark_.is_inherited(); }
  // Was the file truncated? Then what is read here is no longer what others write.
  [[nodiscard]] bool is_broken() const noexcept { return mapping_.is_broken(); }
  void check_intact() const {
    if (is_broken()) fail_truncated(path());
  }

  // Publisher only: the control block that this one has replaced, while readers may be left in it.
  std::shared_ptr<Control> predecessor;

 private:
  std::string name_;
  os::File file_;  // for the locks only
  os::Mapping mapping_;
  os::ForkMark mark_;
};

// Throws unless the file is a control block of this layout.
inline void check_control(const os::File& file, const std::string& path) {
  const std::string remedy = "; stop the programs that use it, then run `framebus doctor --clean` or remove " + path;
  const os::FileStat f = os::stat(file);
  if (f.bytes < 64) {
    fail(Errc::corrupt_channel, path + ": expected a control block of " + std::to_string(sizeof(ControlBlock)) +
                                    " bytes, found " + std::to_string(f.bytes) + remedy);
  }
  std::byte line[64] = {};  // what is missing in a file that has just been truncated reads as zeros
  if (os::read_beginning(file, line, sizeof line) < 0) fail_errno("cannot read " + path, path);
  std::uint64_t magic = 0;
  std::uint32_t numbers[4] = {};
  std::memcpy(&magic, line, sizeof magic);
  std::memcpy(numbers, line + offsetof(ControlBlock, layout_version), sizeof numbers);
  if (magic == __builtin_bswap64(kControlMagic)) {
    fail(Errc::layout_mismatch, path + ": written on a machine of the other byte order" + remedy);
  }
  if (magic != kControlMagic) fail(Errc::corrupt_channel, path + ": not a framebus control block" + remedy);
  if (numbers[0] != kLayoutVersion) {
    fail(Errc::layout_mismatch, path + ": layout version " + std::to_string(numbers[0]) +
                                    ", this program speaks version " + std::to_string(kLayoutVersion) +
                                    "; use the same framebus release on both sides");
  }
  if (numbers[1] != sizeof(ControlBlock) || numbers[2] != kMaxReaders || numbers[3] != kMaxHolds ||
      f.bytes != sizeof(ControlBlock)) {
    fail(Errc::corrupt_channel, path + ": expected a control block of " + std::to_string(sizeof(ControlBlock)) +
                                    " bytes, found " + std::to_string(f.bytes) + " (header says " +
                                    std::to_string(numbers[1]) + ")" + remedy);
  }
}

// The control block of `name`, or nullptr if there is none.
inline std::shared_ptr<Control> open_control(const std::string& name) {
  check_name(name);
  const std::string path = control_path(name);
  os::File file = os::open_existing(path, true);
  if (!file.is_open()) return nullptr;
  check_control(file, path);
  return std::make_shared<Control>(name, std::move(file));
}

// Subscribers write their holds into the control block, so every user that may read frames must be able to write it.
constexpr std::uint32_t control_mode(std::uint32_t mode) noexcept { return mode | (mode & 0444) >> 1; }

// A new control block, not linked to a name yet.
inline std::shared_ptr<Control> make_control(const std::string& name, std::uint32_t mode) {
  check_name(name);
  os::File file = os::create_unnamed(kDirectory, sizeof(ControlBlock), control_mode(mode));
  if (!os::reserve(file, 0, sizeof(ControlBlock))) {
    fail(Errc::frame_too_large, std::string(kDirectory) + " is full: wanted " + std::to_string(sizeof(ControlBlock)) +
                                    " bytes for the control block of '" + name + "', free " +
                                    std::to_string(os::free_bytes(kDirectory)) +
                                    "; make it larger (docker run --shm-size=1g)");
  }
  auto control = std::make_shared<Control>(name, std::move(file));
  ControlBlock& block = control->block();
  block.magic = kControlMagic;
  block.layout_version = kLayoutVersion;
  block.total_bytes = sizeof(ControlBlock);
  block.max_readers = kMaxReaders;
  block.max_holds = kMaxHolds;
  block.channel_id[0] = os::random_word();
  block.channel_id[1] = os::random_word();
  block.created_ns = os::wall_ns();
  return control;
}

}  // namespace framebus::inline FRAMEBUS_VERSION::detail
