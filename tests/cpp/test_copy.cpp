// SPDX-License-Identifier: Apache-2.0
// Every kind of copy, compared with the slowest one: index by index, byte by byte. Targets and sources lie against
// inaccessible pages, so that one byte too many, read or written, ends the program.
#include <sys/mman.h>
#include <unistd.h>

#include <framebus/copy/copy.hpp>
#include <random>
#include <vector>

#include "check.hpp"

using namespace framebus;
using namespace framebus::detail;

namespace {

// Bytes between two inaccessible pages. They end at the second one, or begin at the first one.
class Fenced {
 public:
  Fenced(std::uint64_t bytes, bool at_end) : page_(static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))), bytes_(bytes) {
    inner_ = (bytes + page_ - 1) / page_ * page_;
    void* p = ::mmap(nullptr, inner_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) std::abort();
    all_ = static_cast<std::byte*>(p);
    if (inner_ != 0 && ::mprotect(all_ + page_, inner_, PROT_READ | PROT_WRITE) != 0) std::abort();
    data_ = all_ + page_ + (at_end ? inner_ - bytes : 0);
  }
  Fenced(const Fenced&) = delete;
  Fenced& operator=(const Fenced&) = delete;
  ~Fenced() { ::munmap(all_, inner_ + 2 * page_); }
  [[nodiscard]] std::byte* data() const { return data_; }
  // Are all bytes beside the data, up to the pages, unchanged?
  [[nodiscard]] bool is_clean_outside() const {
    for (const std::byte* p = all_ + page_; p < all_ + page_ + inner_; ++p) {
      if ((p < data_ || p >= data_ + bytes_) && *p != std::byte{0}) return false;
    }
    return true;
  }

 private:
  std::uint64_t page_, bytes_, inner_ = 0;
  std::byte* all_ = nullptr;
  std::byte* data_ = nullptr;
};

std::mt19937_64 random_source(6);  // NOLINT: the same cases in every run

std::uint64_t up_to(std::uint64_t most) { return std::uniform_int_distribution<std::uint64_t>(0, most)(random_source); }

void fill(std::byte* data, std::uint64_t bytes) {
  for (std::uint64_t i = 0; i < bytes; ++i) data[i] = static_cast<std::byte>(random_source() | 1);  // never 0
}

std::uint64_t elements_of(const StridedArray& a) {
  std::uint64_t n = 1;
  for (std::uint32_t i = 0; i < a.ndim; ++i) n *= a.shape[i];
  return n;
}

std::vector<std::byte> slowly(const StridedArray& a) {
  const std::uint64_t n = elements_of(a);
  std::vector<std::byte> out(n * a.item);
  for (std::uint64_t k = 0; k < n; ++k) {
    const std::byte* from = a.data;
    std::uint64_t rest = k;
    for (std::uint32_t i = a.ndim; i-- > 0; rest /= a.shape[i]) {
      from += static_cast<std::int64_t>(rest % a.shape[i]) * a.strides[i];
    }
    for (std::uint64_t b = 0; b < a.item; ++b) out[k * a.item + b] = from[b];
  }
  return out;
}

bool is_copied_right(const StridedArray& a, bool at_end, Target kind) {
  const std::vector<std::byte> want = slowly(a);
  const Fenced target(want.size(), at_end);
  copy_strided(target.data(), a, kind);
  return (want.empty() || std::memcmp(target.data(), want.data(), want.size()) == 0) && target.is_clean_outside();
}
bool is_copied_right(const StridedArray& a, bool at_end) { return is_copied_right(a, at_end, Target::cached); }

// Lays the dimensions of `a` out in memory in a random order, forwards or backwards, with gaps or without; returns the
// number of bytes that this takes.
std::uint64_t lay_out(StridedArray& a, bool gaps) {
  std::uint32_t order[StridedArray::kDims];
  for (std::uint32_t i = 0; i < a.ndim; ++i) order[i] = i;
  if (up_to(2) != 0) std::shuffle(order, order + a.ndim, random_source);
  std::uint64_t bytes = a.item;
  for (std::uint32_t k = a.ndim; k-- > 0;) {
    const std::uint32_t i = order[k];
    a.strides[i] = static_cast<std::int64_t>(bytes);
    if (up_to(9) == 0) {
      a.strides[i] = 0;  // broadcast
      continue;
    }
    if (gaps && up_to(3) == 0) a.strides[i] += static_cast<std::int64_t>(up_to(5));
    if (a.shape[i] != 0) bytes += static_cast<std::uint64_t>(a.strides[i]) * (a.shape[i] - 1);
    if (up_to(2) == 0) a.strides[i] = -a.strides[i];
  }
  return bytes;
}

void check_strided(std::uint32_t ndim, std::uint64_t longest) {
  static constexpr std::uint64_t kItems[] = {1, 1, 1, 2, 4, 8, 16, 32};
  StridedArray a;
  a.item = kItems[up_to(std::size(kItems) - 1)];
  a.ndim = ndim;
  for (std::uint32_t i = 0; i < ndim; ++i) a.shape[i] = up_to(30) == 0 ? 0 : 1 + up_to(longest - 1);
  if (ndim > 0 && up_to(2) == 0) a.shape[ndim - 1] = 1 + up_to(3);  // channels
  const std::uint64_t bytes = lay_out(a, up_to(1) == 0);
  const bool at_end = up_to(1) == 0;
  const Fenced source(bytes, at_end);
  fill(source.data(), bytes);
  a.data = source.data();
  for (std::uint32_t i = 0; i < ndim; ++i) {
    if (a.strides[i] < 0 && a.shape[i] > 0) a.data -= a.strides[i] * static_cast<std::int64_t>(a.shape[i] - 1);
  }
  CHECK(is_copied_right(a, up_to(1) == 0));
}

// Around the width of a vector, an unrolled step and the size from which copies go past the cache.
void check_bytes(std::uint64_t bytes, std::uint64_t to_offset, std::uint64_t from_offset) {
  const Fenced source(bytes + from_offset, true), target(bytes + to_offset, true);
  for (std::uint64_t i = 0; i < bytes; ++i) source.data()[from_offset + i] = static_cast<std::byte>(i * 131 % 251 + 1);
  const Target kind = bytes < kStreamFrom / 2 ? Target::cold : Target::cached;
  copy_bytes(target.data() + to_offset, source.data() + from_offset, bytes, kind);
  const bool same = bytes == 0 || std::memcmp(target.data() + to_offset, source.data() + from_offset, bytes) == 0;
  CHECK(same && target.is_clean_outside());
  for (std::uint64_t i = 0; i < to_offset; ++i) CHECK(target.data()[i] == std::byte{0});
}

// The copy past the cache, also for sizes for which copy_bytes() does not use it.
void check_stream(std::uint64_t bytes, std::uint64_t to_offset, bool at_end) {
  if (!copying::has_avx()) return;
  const Fenced source(bytes, true), target(bytes + to_offset, at_end);
  fill(source.data(), bytes);
  copying::stream(target.data() + to_offset, source.data(), bytes);
  copying::finish_stream();
  CHECK(bytes == 0 || std::memcmp(target.data() + to_offset, source.data(), bytes) == 0);
  CHECK(target.is_clean_outside());
  for (std::uint64_t i = 0; i < to_offset; ++i) CHECK(target.data()[i] == std::byte{0});
}

// Every part and permutation of the bytes of a pixel, at every distance, forwards and backwards.
void check_pixels(std::uint64_t count, std::int64_t step, bool backwards, bool at_end) {
  const auto width = static_cast<std::uint64_t>(step);
  const Fenced source(width * count, at_end);
  fill(source.data(), width * count);
  const std::byte* first = source.data() + (backwards ? width * (count - 1) : 0);
  const std::int64_t to_next = backwards ? -step : step;
  for (std::uint64_t channels = 1; channels <= std::min<std::uint64_t>(width, 4); ++channels) {
    for (std::uint64_t skip = 0; skip + channels <= width; ++skip) {
      CHECK(is_copied_right({first + skip, 1, 2, {count, channels}, {to_next, 1}}, at_end));
      CHECK(is_copied_right({first + skip + channels - 1, 1, 2, {count, channels}, {to_next, -1}}, at_end));
      CHECK(is_copied_right({first + skip, 1, 2, {count, channels}, {to_next, 0}}, at_end));
    }
  }
  if (width % 2 == 0) {
    CHECK(is_copied_right({first + width - 2, 2, 2, {count, width / 2}, {to_next, -2}}, at_end));
    CHECK(is_copied_right({first, 2, 1, {count}, {to_next}}, at_end));
  }
}

// Elements that are used several times: windows that slide, rows that are repeated.
void check_overlapping() {
  const Fenced source(64, true);
  fill(source.data(), 64);
  for (const std::int64_t step : {1, 3, -2}) {
    const std::byte* first = source.data() + (step < 0 ? 32 : 0);
    CHECK(is_copied_right({first, 1, 2, {5, 7}, {step, step}}, true));
  }
  for (std::uint64_t item = 1; item <= 16; ++item) {
    CHECK(is_copied_right({source.data(), 1, 2, {20'000, item}, {0, 1}}, true));
    CHECK(is_copied_right({source.data(), 1, 3, {3, 7'000, item}, {16, 0, 1}}, false));
  }
}

void check_large_rows() {
  constexpr std::uint64_t kHeight = 2100, kWidth = 2003, kStep = 3 * kWidth + 13;
  const Fenced source(kHeight * kStep, true);
  fill(source.data(), kHeight * kStep);
  static_assert(kHeight * kWidth * 3 > kStreamFrom);
  StridedArray few{source.data() + 5, 1, 3, {50, kWidth, 3}, {kStep, 3, 1}};
  static_assert(50 * kWidth * 3 > kStreamColdFrom);
  CHECK(is_copied_right(few, true, Target::cold));
  StridedArray crop{source.data() + 5, 1, 3, {kHeight, kWidth, 3}, {kStep, 3, 1}};
  CHECK(is_copied_right(crop, true));
  StridedArray flipped{
      source.data() + (kHeight - 1) * kStep, 1, 3, {kHeight, kWidth, 3}, {-static_cast<std::int64_t>(kStep), 3, 1}};
  CHECK(is_copied_right(flipped, false));
  StridedArray transposed{source.data(), 1, 3, {kWidth, kHeight, 3}, {3, kStep, 1}};
  CHECK(is_copied_right(transposed, true));
}

// Which memory counts as cold, and from which size on that changes how it is written.
void check_target() {
  CHECK(target_after(0, 0) == Target::cached);
  CHECK(target_after(1000, 1000) == Target::cached);
  CHECK(target_after(1001, 1000) == Target::cold);
  CHECK(!is_streamed(kStreamColdFrom - 1, Target::cold));
  CHECK(is_streamed(kStreamColdFrom, Target::cold) == copying::has_avx());
  CHECK(!is_streamed(kStreamFrom - 1, Target::cached));
  CHECK(is_streamed(kStreamFrom, Target::cached) == copying::has_avx());
}

}  // namespace

int main() {
  check_target();
  for (int i = 0; i < 3000; ++i) check_strided(static_cast<std::uint32_t>(up_to(4)), 40);
  for (int i = 0; i < 1000; ++i) check_strided(static_cast<std::uint32_t>(5 + up_to(3)), 4);
  for (const std::uint64_t near :
       {std::uint64_t{0}, std::uint64_t{32}, std::uint64_t{128}, kStreamColdFrom, kStreamFrom}) {
    for (std::uint64_t bytes = near - std::min<std::uint64_t>(near, 3); bytes <= near + 3; ++bytes) {
      for (const std::uint64_t offset : {0U, 1U, 31U}) check_bytes(bytes, offset, 32 - offset);
    }
  }
  for (std::uint64_t bytes = 0; bytes < 300; ++bytes) {
    for (const std::uint64_t offset : {0U, 1U, 16U, 31U, 33U}) {
      check_stream(bytes, offset, true);
      check_stream(bytes, offset, false);
    }
  }
  for (std::uint64_t count = 1; count < 40; ++count) {
    for (std::int64_t step = 1; step <= 9; ++step) {
      for (const bool backwards : {false, true}) {
        check_pixels(count, step, backwards, true);
        check_pixels(count, step, backwards, false);
      }
    }
  }
  check_overlapping();
  check_large_rows();
  return check::finish();
}
