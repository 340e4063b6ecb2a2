// SPDX-License-Identifier: Apache-2.0
// framebus::Publisher and framebus::Loan: program A.
//
//   framebus::Publisher publisher("camera0");
//   framebus::Loan loan = publisher.loan({{"image", {'u', '|', 1}, {1080, 1920, 3}}});
//   fill(loan.data(0));
//   loan.commit();                       // a loan that is destroyed uncommitted was never there
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "publisher_core.hpp"

namespace framebus {

struct ArraySpec {
  std::string name = "image";
  ElementType type{'u', '|', 1};
  std::vector<std::uint64_t> shape;
};

// Checks what a publisher wants to send and gives every array its place.
inline Descriptor describe(std::span<const ArraySpec> arrays) {
  if (arrays.empty() || arrays.size() > kMaxArrays) {
    fail(Errc::invalid_argument,
         "a frame has 1 to " + std::to_string(kMaxArrays) + " arrays, got " + std::to_string(arrays.size()));
  }
  Descriptor d;
  for (const ArraySpec& spec : arrays) {
    ArrayInfo& a = d.arrays[d.array_count++];
    if (spec.name.empty() || spec.name.size() > kNameBytes) {
      fail(Errc::invalid_argument,
           "an array name has 1 to " + std::to_string(kNameBytes) + " bytes, got '" + spec.name + "'");
    }
    if (spec.shape.size() > kMaxDims) {
      fail(Errc::invalid_argument, "array '" + spec.name + "' has " + std::to_string(spec.shape.size()) +
                                       " dimensions, the most is " + std::to_string(kMaxDims));
    }
    if (!is_valid(spec.type)) fail(Errc::invalid_argument, "array '" + spec.name + "' has an unknown element type");
    a.type = spec.type;
    a.ndim = static_cast<std::uint32_t>(spec.shape.size());
    std::copy(spec.shape.begin(), spec.shape.end(), a.shape);
    a.name_bytes = static_cast<std::uint32_t>(spec.name.size());
    std::fill_n(a.name_chars, kNameBytes, '\0');
    std::memcpy(a.name_chars, spec.name.data(), spec.name.size());
  }
  d.meta_offset = plan_arrays(d);
  return d;
}

class Loan {
 public:
  Loan(std::shared_ptr<PublisherCore> core, Filling filling, const Descriptor& frame)
      : core_(std::move(core)), filling_(std::move(filling)), store_(filling_.store), frame_(frame) {}
  Loan(Loan&& other) noexcept
      : core_(std::move(other.core_)),
        filling_(std::move(other.filling_)),
        store_(std::move(other.store_)),
        frame_(other.frame_) {}
  Loan& operator=(Loan&&) = delete;
  ~Loan() { drop(); }

  [[nodiscard]] bool is_open() const noexcept { return core_ != nullptr; }
  [[nodiscard]] Descriptor& frame() noexcept { return frame_; }
  // Where array `i` begins: 64-byte aligned, C order, writable until commit() or drop().
  [[nodiscard]] std::byte* data(std::uint32_t i) const {
    if (!is_open()) fail(Errc::loan_ended, "this loan has been sent or dropped; its memory is not yours any more");
    return PublisherCore::bytes_of(filling_) + frame_.arrays[i].offset;
  }

  void set_pixel_format(std::string_view name) {
    if (name.size() > kNameBytes) fail(Errc::invalid_argument, "a pixel format has at most 32 bytes");
    frame_.pixel_format_bytes = static_cast<std::uint32_t>(name.size());
    std::fill_n(frame_.pixel_format_chars, kNameBytes, '\0');
    std::memcpy(frame_.pixel_format_chars, name.data(), name.size());
  }

  std::uint64_t commit(std::string_view meta = {}, Interrupt interrupt = nullptr) {
    if (!is_open()) fail(Errc::loan_ended, "this loan has been sent or dropped already");
    const std::uint64_t seq = core_->commit(filling_, frame_, meta, interrupt);
    core_ = nullptr;
    return seq;
  }
  // Sends a copy; the memory stays this loan's until it is destroyed, but it can't be sent again.
  std::uint64_t commit_copy(std::string_view meta = {}, Interrupt interrupt = nullptr) {
    if (!is_open()) fail(Errc::loan_ended, "this loan has been sent or dropped already");
    return core_->commit_copy(filling_, frame_, meta, interrupt);
  }
  void drop() noexcept {
    if (const auto core = std::move(core_)) core->abandon(filling_);
  }

 private:
  std::shared_ptr<PublisherCore> core_;
  Filling filling_;
  std::shared_ptr<Store> store_;  // keeps the memory mapped as long as the loan exists, also after it was sent
  Descriptor frame_;
};

class Publisher {
 public:
  explicit Publisher(const std::string& name, const PublisherOptions& options = {})
      : core_(std::make_shared<PublisherCore>(name, checked(options))) {}
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;
  ~Publisher() { close(); }

  // timeout_ns: how long to wait where on_full=block; negative for ever.
  Loan loan(std::span<const ArraySpec> arrays, std::int64_t timeout_ns = -1, Interrupt interrupt = nullptr) {
    return loan(describe(arrays), 0, timeout_ns, interrupt);
  }
  Loan loan(std::initializer_list<ArraySpec> arrays) { return loan(std::span(arrays.begin(), arrays.size())); }
  // For a frame that has been described already, with so many bytes of metadata to come.
  Loan loan(const Descriptor& frame, std::uint64_t meta_bytes, std::int64_t timeout_ns, Interrupt interrupt) {
    return {core_, core_->claim(frame.meta_offset + meta_bytes, timeout_ns, interrupt), frame};
  }
  // The same without any wait, lock or growth, or nothing.
  std::optional<Loan> try_loan(const Descriptor& frame, std::uint64_t meta_bytes) {
    auto filling = core_->try_claim(frame.meta_offset + meta_bytes);
    if (!filling) return std::nullopt;
    return Loan(core_, std::move(*filling), frame);
  }

  // The sequence number of the newest frame, 0 before the first; also a predecessor's.
  [[nodiscard]] std::uint64_t newest() const { return core_->newest(); }
  void close() noexcept { core_->close(); }
  [[nodiscard]] bool is_closed() const { return core_->is_closed(); }
  [[nodiscard]] const std::string& name() const noexcept { return core_->name(); }
  [[nodiscard]] Statistics statistics() const { return core_->statistics(); }

 private:
  static const PublisherOptions& checked(const PublisherOptions& options) {
    if (options.slots < 2 || options.slots > 1024) {
      fail(Errc::invalid_argument, "slots must be 2 to 1024, got " + std::to_string(options.slots));
    }
    if (options.max_bytes > kMaxFrameBytes) {
      fail(Errc::invalid_argument, "max_bytes must be at most " + std::to_string(kMaxFrameBytes) + ", got " +
                                       std::to_string(options.max_bytes));
    }
    if ((options.mode & ~0666U) != 0 || (options.mode & 0600) != 0600) {
      fail(Errc::invalid_argument, "mode must be between 0o600 and 0o666 and include 0o600");
    }
    return options;
  }

  std::shared_ptr<PublisherCore> core_;
};

}  // namespace framebus
