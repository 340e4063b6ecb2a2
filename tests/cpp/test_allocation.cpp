// SPDX-License-Identifier: Apache-2.0
// Sending and receiving allocates nothing, in every form, once the channel has reached its size.
#include <cstdlib>
#include <framebus/framebus.hpp>
#include <new>
#include <vector>

#include "check.hpp"

namespace {
std::atomic<long> allocations{0};
}

// Neither is inlined, so that the compiler sees no malloc() in new and no free() of what comes from it.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace framebus;
using namespace framebus::detail;
using namespace std::chrono_literals;

int main() {
  const std::string name = "cppapi.allocation." + std::to_string(::getpid());
  Publisher publisher(name, {.on_full = OnFull::block});
  Subscriber subscriber(name, {.every = true});
  std::vector<std::uint8_t> pixels(64 * 48 * 3);
  std::error_code error;
  const SendOptions options{.pixel_format = "BGR8", .meta_json = "{\"exposure_us\":900}"};
  const auto once = [&] {
    publisher.send(pixels, {48, 64, 3}, options);
    CHECK(subscriber.recv(1s).shape() == Shape(48, 64, 3));
    publisher.send(Image(pixels.data(), 48, 60, 3, 64 * 3), options, error);
    CHECK(subscriber.try_recv(error).has_value());
    publisher.send({{"an array with a name of 32 bytes", pixels, {48, 64, 3}}, {"b", pixels, {48, 192}}}, options);
    CHECK(subscriber.next()->image<std::uint8_t>("b").width() == 192);
    Loan loan = publisher.loan<std::uint8_t>({48, 64});
    loan.span<std::uint8_t>()[0] = 1;
    loan.commit();
    CHECK(subscriber.recv(1s, error)->span<std::uint8_t>()[0] == 1);
  };
  for (int i = 0; i < 20; ++i) once();
  const long before = allocations.load();
  CHECK(before > 0);  // allocations are counted
  for (int i = 0; i < 500; ++i) once();
  CHECK(allocations.load() == before);
  return check::finish();
}
