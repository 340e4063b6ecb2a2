// SPDX-License-Identifier: Apache-2.0
// A channel that is changed arbitrarily, before and between a subscriber's calls: every call returns a whole frame
// inside its mapping, or none, or throws a framebus::Error.
#include <framebus/inspect.hpp>

#include "specimen.hpp"

using namespace fuzz;

namespace {

void subscribe(Specimen& specimen, Input& input) {
  SubscriberOptions options;
  options.every = input.below(2) != 0;
  options.history = input.below(5);
  options.hold = 1 + input.below(4);
  options.reconnect = input.below(2) != 0;
  constexpr Wait kWaits[] = {Wait::adaptive, Wait::park, Wait::predictive};
  options.wait = kWaits[input.below(3)];
  Subscriber subscriber(specimen.name(), options);
  std::vector<Frame> held;
  for (int i = 0; i < 8; ++i) {
    try {
      if (auto frame = i % 4 == 3 ? subscriber.recv(1us) : subscriber.try_recv()) {
        read_all(*frame);
        held.push_back(std::move(*frame));
        if (held.size() == options.hold) held.erase(held.begin());
      }
      static_cast<void>(subscriber.statistics());
      for (const Frame& frame : held) read_all(frame);
    } catch (const Error&) {
      held.clear();
    }
    if (!input.is_empty()) specimen.change(input);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Specimen specimen;
  Input input(data, size);
  specimen.lay_out(input, input.below(2) != 0);
  try {
    subscribe(specimen, input);
  } catch (const Error&) {
  }
  try {
    static_cast<void>(inspect(specimen.name()));
    static_cast<void>(running_channels_text());
  } catch (const Error&) {
  }
  return 0;
}
