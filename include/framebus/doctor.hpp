// SPDX-License-Identifier: Apache-2.0
// Finding what is wrong among the files of all channels: left by dead programs, or not framebus's.
//
// Promise: examining takes no lock, maps nothing and changes nothing. A participant that is just leaving has dropped
// its lock but not yet removed the files, so a finding must be found a second time before a program relies on it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "framebus/base/namespace.hpp"
#include "framebus/segment/cleanup.hpp"

namespace framebus::inline FRAMEBUS_VERSION {

enum class IssueKind : std::uint8_t { stale_channel, orphaned_store, foreign_file };

struct Finding {
  IssueKind kind = IssueKind::foreign_file;
  std::string path, channel, why;
  std::uint64_t bytes = 0;  // that a removal would free
  std::uint64_t inode = 0;
  std::uint32_t owner = 0;
  bool dead = false;  // no program can use it any more: clean_channel() would remove it
};

namespace detail {

// A copy of the first page of a control block, the only part that is used here.
struct ControlPage {
  alignas(8) std::byte bytes[512] = {};
  template <class T>
  [[nodiscard]] T at(std::size_t offset) const {
    T value;
    std::memcpy(&value, bytes + offset, sizeof value);
    return value;
  }
};

inline ControlPage page_of(const os::File& control) {
  ControlPage page;
  if (os::read_beginning(control, page.bytes, sizeof page.bytes) < 0) {
    os::fail_on(control, "cannot read a control block");
  }
  return page;
}

// Why this release can't use the file as a control block; nullopt if it can.
inline std::optional<std::string> why_unusable(const os::File& file, const std::string& path) {
  try {
    check_control(file, path);
  } catch (const Error& error) {
    if (error.code() != Errc::corrupt_channel && error.code() != Errc::layout_mismatch) throw;
    const std::string text = std::string(error.what()).substr(path.size() + 2);  // what follows "PATH: "
    return text.substr(0, text.find(';'));
  }
  return std::nullopt;
}

inline std::string why_stale(const ControlPage& page) {
  const auto identity = page.at<Identity>(offsetof(ControlBlock, publisher));
  if (identity.pid == 0) return "it never had a publisher, and no live subscriber";
  const bool closed = page.at<std::uint32_t>(offsetof(ControlBlock, state)) == kStateClosed;
  return "no live publisher (process " + std::to_string(identity.pid) + ", " + command_of(identity) +
         (closed ? ", has closed it" : ", died") + ") and no live subscriber";
}

inline std::optional<Finding> examine_control(const os::File& file, Finding finding) {
  const bool in_use = os::is_locked(file, 0, 0);
  finding.dead = !in_use && may_remove(finding.owner);
  if (const auto reason = why_unusable(file, finding.path)) {
    finding.why = *reason + (in_use ? "; in use" : "");
    return finding;
  }
  if (in_use) return std::nullopt;
  finding.kind = IssueKind::stale_channel;
  finding.why = why_stale(page_of(file));
  for (const std::string& store :
       os::list_files(kDirectory, std::string(kFilePrefix) + finding.channel + kGenerationMark)) {
    finding.bytes += os::allocated_bytes(std::string(kDirectory) + "/" + store);
  }
  return finding;
}

// Why no program will open this store any more, by its control block; nullopt if one may.
inline std::optional<std::string> why_orphaned(const os::File& control, std::uint32_t generation) {
  if (!os::is_locked(control, 0, 0)) return std::nullopt;  // part of a stale channel, which is a finding of its own
  const auto current = page_of(control).at<std::uint32_t>(offsetof(ControlBlock, generation));
  const bool obsolete = generation < current;
  // A later one may belong to a publisher that is about to move there.
  if (!obsolete && (generation == current || os::is_locked(control, kPublisherByte))) return std::nullopt;
  return "generation " + std::to_string(generation) + " of a channel that is at generation " + std::to_string(current) +
         (obsolete ? "" : " and has no live publisher");
}

inline std::optional<Finding> examine_store(const os::File& file, Finding finding, std::uint32_t generation) {
  if (!is_store(file)) {
    finding.why = "has the name of a frame store, but is none";
    return finding;
  }
  const std::string control_name = control_path(finding.channel);
  finding.kind = IssueKind::orphaned_store;
  finding.dead = may_remove(finding.owner);
  if (!os::exists(control_name)) {
    if (!os::exists(finding.path)) return std::nullopt;  // stores are removed first: the whole channel was just removed
    finding.why = "a frame store without a channel, " + control_name + " is missing";
    return finding;
  }
  try {
    const os::File control = os::open_existing(control_name, false);
    if (!control.is_open() || why_unusable(control, control_name)) return std::nullopt;  // a separate finding
    const auto reason = why_orphaned(control, generation);
    if (!reason) return std::nullopt;
    finding.why = *reason;
    return finding;
  } catch (const Error& error) {
    if (error.code() == Errc::permission_denied || error.code() == Errc::corrupt_channel) return std::nullopt;
    throw;  // those are findings about the control block
  }
}

// What is wrong with one file; nullopt if nothing is, or the file is gone.
inline std::optional<Finding> examine_file(const std::string& name) {
  Finding finding;
  finding.path = std::string(kDirectory) + "/" + name;
  const auto there = os::stat(finding.path);
  if (!there) return std::nullopt;
  const os::FileStat& stat = *there;
  finding.bytes = stat.allocated_bytes;
  finding.inode = stat.inode;
  finding.owner = stat.owner;
  const auto named = parse_file_name(name);
  if (!named) {
    finding.why = "framebus uses no such file name";
    return finding;
  }
  finding.channel = named->channel;
  if (!stat.regular) {
    finding.why = "not a regular file";
    return finding;
  }
  try {
    const os::File file = os::open_existing(finding.path, false);
    if (!file.is_open()) return std::nullopt;
    return named->generation == 0 ? examine_control(file, finding) : examine_store(file, finding, named->generation);
  } catch (const Error& error) {
    if (error.code() != Errc::permission_denied || stat.owner == os::user_id()) throw;
    finding.why = "closed to user " + std::to_string(os::user_id()) + ": mode " + os::mode_text(stat.mode);
    return finding;
  }
}

}  // namespace detail

// All findings, sorted by path.
inline std::vector<Finding> examine() {
  detail::os::check_directory(detail::kDirectory);
  std::vector<std::string> names = detail::os::list_files(detail::kDirectory, detail::kFilePrefix);
  std::sort(names.begin(), names.end());
  std::vector<Finding> findings;
  for (const std::string& name : names) {
    if (auto finding = detail::examine_file(name)) findings.push_back(std::move(*finding));
  }
  return findings;
}

}  // namespace framebus::inline FRAMEBUS_VERSION
