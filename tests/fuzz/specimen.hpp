// SPDX-License-Identifier: Apache-2.0
// A valid channel made by a real Publisher, written as files repeatedly, each time with the changes that the fuzzer's
// input describes.
//
// Promise: lay_out() makes two ordinary files of this user without a participant, except that with `alive` the
// publisher's byte is locked until the next call.
#pragma once

#include <sys/stat.h>

#include <cstring>
#include <framebus/framebus.hpp>
#include <memory>
#include <string>
#include <vector>

#include "fields.hpp"
#include "input.hpp"

namespace fuzz {

using namespace framebus;
using namespace framebus::detail;
using namespace std::chrono_literals;

// Ends the program with a message: a promise is broken.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

// Reads every byte that a frame returns; all of them must be inside one mapping of framebus.
inline void read_all(const Frame& frame) {
  static std::vector<std::uint8_t> copy(1 << 20);
  const auto read = [](const void* begin, std::uint64_t bytes) {
    const auto first = reinterpret_cast<std::uintptr_t>(begin);
    bool inside = bytes == 0;
    for (const auto& range : os::guarded_ranges) {
      inside = inside || (range.begin <= first && first + bytes <= range.end);
    }
    require(inside, "a frame lies inside its mapping");
    copy.resize(std::max<std::size_t>(copy.size(), bytes));
    if (bytes != 0) std::memcpy(copy.data(), begin, bytes);
  };
  const Descriptor& info = frame.info();
  for (std::uint32_t a = 0; a < info.array_count; ++a) {
    std::uint64_t bytes = info.arrays[a].type.bytes;
    for (std::uint32_t i = 0; i < info.arrays[a].ndim; ++i) bytes *= info.arrays[a].shape[i];
    require(bytes == info.arrays[a].bytes, "an array has the bytes that its shape says");
    read(frame.data(a), bytes);
  }
  read(frame.meta_json().data(), frame.meta_json().size());
}

class Specimen {
 public:
  Specimen() : name_("fuzz." + std::to_string(::getpid())) {
    Publisher publisher(name_, {.slots = 5});
    Subscriber subscriber(name_, {.every = true, .hold = 1});
    const auto send = [&](std::initializer_list<ArraySpec> arrays, std::string_view meta) {
      Loan loan = publisher.loan(arrays);
      loan.set_pixel_format("Mono8");
      for (std::uint32_t a = 0; a < arrays.size(); ++a) std::memset(loan.data(a), 1, loan.frame().arrays[a].bytes);
      loan.commit(meta);
    };
    send({{"image", {'u', '|', 1}, {10, 10}}}, "");
    send({{"color", {'u', '|', 1}, {8, 8, 3}}, {"depth", {'u', '<', 2}, {8, 8}}}, "{\"exposure_us\":900}");
    const Frame held = subscriber.recv(0s);
    send({{"none", {'f', '<', 8}, {0, 5}}, {"one", {'c', '<', 16}, {}}}, "{\"a\":[1,2]}");
    send({{"image", {'i', '>', 4}, {2, 3, 4, 5}}}, "");
    control_ = contents_of(control_path(name_));
    store_ = contents_of(store_path(name_, 1));
    std::memcpy(&header_, store_.data(), sizeof header_);
    fields_ = all_fields(header_);
  }
  ~Specimen() { clear_away(); }
  Specimen(const Specimen&) = delete;
  Specimen& operator=(const Specimen&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  void lay_out(Input& input, bool alive) {
    clear_away();
    control_file_ = make_file(control_, control_path(name_));
    store_file_ = make_file(store_, store_path(name_, 1));
    for (std::uint32_t left = input.below(8) + 1; left > 0 && !input.is_empty(); --left) change(input);
    if (alive) require(os::try_lock(control_file_, kPublisherByte), "nobody else is in the files");
  }

  // One change, to the files as they are now.
  void change(Input& input) {
    const std::uint32_t kind = input.below(8);
    const bool lively = input.below(3) == 0;
    const Field& field = fields_[input.below(lively ? kLively : static_cast<std::uint32_t>(fields_.size()))];
    switch (kind) {
      case 0:
      case 1:
        return put(field, input.notable());
      case 2:
        return put(field, input.number<std::uint64_t>());
      case 3:
        return put(field, get(field) ^ (std::uint64_t{1} << input.below(64)));
      case 4:
        return put(field, frame_word(input.below(16), input.below(16)));
      case 5: {
        const std::uint64_t word = slot_word(input.below(16)) | input.below(2);
        return put(field, word);
      }
      case 6:
        return resize(input);
      default: {
        std::uint8_t raw[16];
        const Field place{input.below(2) != 0, input.number<std::uint32_t>() % (96U << 10), 0};
        const std::uint32_t bytes = 1 + input.below(sizeof raw);
        input.take(raw, bytes);
        write(place, raw, bytes);
      }
    }
  }

 private:
  using Contents = std::vector<std::uint8_t>;

  static Contents contents_of(const std::string& path) {
    const os::File file = os::open_existing(path, false);
    Contents bytes(os::stat(file).bytes);
    require(::pread(file.fd(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()), "pread");
    return bytes;
  }
  static os::File make_file(const Contents& contents, const std::string& path) {
    os::File file = os::create_unnamed(kDirectory, contents.size(), 0600);
    require(::pwrite(file.fd(), contents.data(), contents.size(), 0) == static_cast<ssize_t>(contents.size()),
            "pwrite");
    require(os::link_name(file, path), "the name is free");
    return file;
  }
  void clear_away() {
    remove_stores(name_, 0);
    os::unlink_quietly(control_path(name_));
  }

  void write(const Field& field, const void* data, std::uint64_t bytes) {
    const os::File& file = field.in_store ? store_file_ : control_file_;
    // Never extends the file.
    const std::uint64_t end = os::stat(file).bytes;
    if (field.offset + bytes > end) return;
    require(::pwrite(file.fd(), data, bytes, static_cast<off_t>(field.offset)) == static_cast<ssize_t>(bytes),
            "pwrite");
  }
  void put(const Field& field, std::uint64_t value) { write(field, &value, field.bytes); }
  [[nodiscard]] std::uint64_t get(const Field& field) {
    std::uint64_t value = 0;
    const os::File& file = field.in_store ? store_file_ : control_file_;
    static_cast<void>(!::pread(file.fd(), &value, field.bytes, static_cast<off_t>(field.offset)));
    return value;
  }

  // Another length; half of the time with a header that agrees.
  void resize(Input& input) {
    const bool store = input.below(2) != 0;
    std::uint64_t bytes = input.number<std::uint32_t>() % (256U << 10);
    if (store && input.below(2) != 0) {
      ControlBlock* control = nullptr;
      Contents page(sizeof(ControlBlock));
      static_cast<void>(!::pread(control_file_.fd(), page.data(), page.size(), 0));
      control = reinterpret_cast<ControlBlock*>(page.data());
      const StoreHeader header = plan_store(*control, 1 + input.below(2), 1 + input.below(64), input.below(4) * kPage);
      static_cast<void>(!::ftruncate(store_file_.fd(), static_cast<off_t>(header.total_bytes)));
      write({true, 0, 0}, &header, sizeof header);
      return;
    }
    static_cast<void>(!::ftruncate((store ? store_file_ : control_file_).fd(), static_cast<off_t>(bytes)));
  }

  std::string name_;
  Contents control_, store_;
  StoreHeader header_{};
  std::vector<Field> fields_;
  os::File control_file_, store_file_;
};

}  // namespace fuzz
