// SPDX-License-Identifier: Apache-2.0
// A channel that is changed arbitrarily and has no participant: a new publisher takes the name, and new subscribers get
// its frames whole and in order. An earlier subscriber may get errors, and may keep the new publisher out.
#include "specimen.hpp"

using namespace fuzz;

namespace {

constexpr std::uint64_t kSizes[] = {10, 20'000, 300};

void send(Publisher& publisher, int value) {
  const std::vector<ArraySpec> specs = {{"image", {'u', '|', 1}, {kSizes[value - 1]}}};
  Loan loan = publisher.loan(specs);
  std::memset(loan.data(0), value, kSizes[value - 1]);
  loan.commit();
}

void receive(Subscriber& subscriber, int value) {
  const auto frame = subscriber.try_recv();
  require(frame.has_value(), "each frame arrives");
  read_all(*frame);
  require(frame->info().array_count == 1 && frame->info().arrays[0].bytes == kSizes[value - 1], "frames come in order");
  const std::vector<std::byte> sent(kSizes[value - 1], static_cast<std::byte>(value));
  require(std::memcmp(frame->data(0), sent.data(), sent.size()) == 0, "a frame arrives as it was sent");
}

void receive_anything(Subscriber& subscriber) {
  try {
    for (int i = 0; i < 4; ++i) {
      if (const auto frame = subscriber.try_recv()) read_all(*frame);
    }
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Specimen specimen;
  Input input(data, size);
  const bool somebody_stays = input.below(2) != 0;
  specimen.lay_out(input, false);
  std::unique_ptr<Subscriber> stays;
  try {
    if (somebody_stays) {
      stays = std::make_unique<Subscriber>(specimen.name(), SubscriberOptions{.every = input.below(2) != 0});
    }
  } catch (const Error&) {
  }
  try {
    Publisher publisher(specimen.name());
    Subscriber subscriber(specimen.name(), {.every = true, .hold = 1});
    for (int value = 1; value <= 3; ++value) send(publisher, value);
    for (int value = 1; value <= 3; ++value) receive(subscriber, value);
    if (stays != nullptr) receive_anything(*stays);
  } catch (const Error& error) {
    if (stays == nullptr) std::fprintf(stderr, "%s\n", error.what());
    require(stays != nullptr, "nothing keeps a new publisher from a channel that everybody has left");
  }
  return 0;
}
