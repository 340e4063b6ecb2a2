// SPDX-License-Identifier: Apache-2.0
// A writer that may write to a channel's files and does, without being a participant.
//
// Promise: maps both files on its own and changes single words of them; uses only the layout of framebus.
#pragma once

#include <cstring>
#include <framebus/segment/frame_store.hpp>
#include <memory>
#include <random>
#include <string>

namespace corruptor {

class Corruptor {
 public:
  Corruptor(std::string name, std::uint64_t seed)
      : name_(std::move(name)),
        random_(seed),
        control_(framebus::detail::os::open_existing(framebus::detail::control_path(name_), true),
                 sizeof(framebus::detail::ControlBlock), true) {}

  [[nodiscard]] framebus::detail::ControlBlock& control() const noexcept {
    return *reinterpret_cast<framebus::detail::ControlBlock*>(control_.data());
  }

  // Changes one relevant word and restores it at the next call, so that the channel works well enough to reach its
  // deeper code. A value that others wrote there meanwhile is lost.
  void corrupt() {
    if (corrupted_ != nullptr) store(corrupted_, was_);
    if (corruptions_++ % 512 == 0) follow();
    corrupted_ = target();
    was_ = load(corrupted_);
    store(corrupted_, value());
  }

 private:
  using Word = std::uint64_t;

  // Maps the newest store that has a name.
  void follow() {
    const std::string prefix = std::string(framebus::detail::kFilePrefix) + name_ + framebus::detail::kGenerationMark;
    for (const std::string& file : framebus::detail::os::list_files(framebus::detail::kDirectory, prefix)) {
      const auto found =
          framebus::detail::os::open_existing(std::string(framebus::detail::kDirectory) + "/" + file, true);
      if (!found.is_open()) continue;
      const std::uint64_t bytes = framebus::detail::os::stat(found).bytes;
      framebus::detail::StoreHeader header;
      if (::pread(found.fd(), &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header)) continue;
      // The header may be corrupted, too.
      if (header.slot_count - 1 >= framebus::detail::kMaxSlots || header.slot_bytes > bytes) continue;
      header = framebus::detail::plan_store(control(), header.generation, header.slot_count, header.slot_bytes);
      if (header.total_bytes != bytes) continue;
      if (corrupted_ != nullptr) store(corrupted_, was_);
      corrupted_ = nullptr;
      store_ = framebus::detail::os::Mapping(found, bytes, true);
      header_ = header;
    }
  }

  [[nodiscard]] Word* target() {
    const auto in_control = [&](std::uint64_t begin, std::uint64_t bytes) {
      return reinterpret_cast<Word*>(control_.data() + begin) + random_() % (bytes / sizeof(Word));
    };
    const auto in_store = [&](std::uint64_t begin, std::uint64_t bytes) {
      return reinterpret_cast<Word*>(store_.data() + begin) + random_() % (bytes / sizeof(Word));
    };
    const bool mapped = store_.data() != nullptr;
    switch (random_() % (mapped ? 8 : 4)) {
      case 0:
        return in_control(64, 64);  // head, wake, generation, state
      case 1:
        return in_control(128, 128);  // the readers, the publisher's counts
      case 2:
        return in_control(4096 + random_() % 4 * sizeof(framebus::detail::ReaderRecord), 64);
      case 3:
        return in_control(0, sizeof(framebus::detail::ControlBlock));
      case 4:
        return in_store(header_.directory_offset, std::uint64_t{header_.directory_words} * sizeof(Word));
      case 5:
        return in_store(header_.slots_offset + random_() % header_.slot_count * sizeof(framebus::detail::SlotRecord),
                        64);
      case 6:
        return in_store(header_.slots_offset, header_.slot_count * sizeof(framebus::detail::SlotRecord));
      default:
        return in_store(0, store_.bytes());
    }
  }

  [[nodiscard]] Word value() {
    switch (random_() % 6) {
      case 0:
        return random_();
      case 1:
        return was_ ^ (Word{1} << random_() % 64);
      case 2:
        return was_ + random_() % 8 - 4;
      case 3:
        return framebus::detail::frame_word(random_() % 100, static_cast<std::uint32_t>(random_() % 10));
      case 4:
        return Word{1} << random_() % 64;
      default:
        return load(target());
    }
  }

  // Accesses as by another program: whole words, hidden from the sanitizers of this one.
  [[gnu::noinline, gnu::no_sanitize_thread]] static Word load(const volatile Word* word) { return *word; }
  [[gnu::noinline, gnu::no_sanitize_thread]] static void store(volatile Word* word, Word value) { *word = value; }

  std::string name_;
  std::mt19937_64 random_;
  framebus::detail::os::Mapping control_;
  framebus::detail::os::Mapping store_;
  framebus::detail::StoreHeader header_{};
  Word* corrupted_ = nullptr;
  Word was_ = 0;
  std::uint64_t corruptions_ = 0;
};

}  // namespace corruptor
