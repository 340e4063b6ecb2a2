// SPDX-License-Identifier: Apache-2.0
// The API of C++ programs: typed arrays and images, chrono timeouts, loops over frames, moving, codes instead of
// exceptions.
#include <array>
#include <complex>
#include <cstring>
#include <framebus/framebus.hpp>
#include <iterator>
#include <numeric>
#include <thread>
#include <vector>

#include "check.hpp"

using namespace framebus;
using namespace framebus::detail;
using namespace std::chrono_literals;

namespace {

std::string fresh_name() {
  static int count = 0;
  return "cppapi." + std::to_string(::getpid()) + "." + std::to_string(++count);
}

std::vector<std::uint16_t> counted(std::size_t n) {
  std::vector<std::uint16_t> v(n);
  std::iota(v.begin(), v.end(), std::uint16_t{1});
  return v;
}

template <class A, class B>
bool equal(const A& a, const B& b) {
  return std::equal(std::begin(a), std::end(a), std::begin(b), std::end(b));
}

void what_is_sent_arrives_with_type_shape_and_facts() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  Subscriber subscriber(name, {.every = true});
  const auto pixels = counted(6 * 4);
  const std::uint64_t seq = publisher.send(
      pixels, {4, 6}, {.pixel_format = "Mono16", .meta_json = "{\"a\":1}", .timestamp_ns = 5, .wall_time_ns = 7});
  const Frame frame = subscriber.recv(1s);
  CHECK(frame.seq() == seq && frame.timestamp_ns() == 5 && frame.wall_time_ns() == 7 && frame.published_ns() > 5);
  CHECK(frame.pixel_format() == "Mono16" && frame.meta_json() == "{\"a\":1}");
  CHECK(frame.array_count() == 1 && frame.array_name(0) == "image" && frame.shape() == Shape(4, 6));
  CHECK(frame.is<std::uint16_t>() && !frame.is<std::int16_t>());
  CHECK(equal(frame.span<std::uint16_t>(), pixels) && frame.data<std::uint16_t>()[23] == 24);
  CHECK(frame.span<std::byte>().size() == 48 && frame.data() == frame.span<std::byte>().data());
  const auto image = frame.image<std::uint16_t>();
  CHECK(image.height() == 4 && image.width() == 6 && image.channels() == 1 && image(1, 2) == 9);
  const std::int64_t before = os::monotonic_ns();
  publisher.send(std::vector<float>{1.5F}, {});
  const Frame single = subscriber.recv(1s);
  CHECK(single.shape().size() == 0 && single.span<float>()[0] == 1.5F && single.pixel_format().empty());
  CHECK(single.timestamp_ns() >= before && single.meta_json().empty());
}

void several_arrays_are_found_by_name_and_by_position() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  Subscriber subscriber(name);
  const std::uint8_t color[2][3][3] = {{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}, {{10}}};
  const double depth[] = {0.5, 1.5, 2.5, 3.5, 4.5, 5.5};
  publisher.send({{"color", std::span(&color[0][0][0], 18), {2, 3, 3}}, {"depth", depth, {2, 3}}},
                 {.pixel_format = "BGR8"});
  const Frame frame = subscriber.recv(1s);
  CHECK(frame.array_count() == 2 && frame.shape("color") == Shape(2, 3, 3) && frame.shape(1) == Shape(2, 3));
  CHECK(frame.image<std::uint8_t>("color")(1, 0, 0) == 10 && frame.image<double>("depth")(1, 2) == 5.5);
  CHECK(frame.span<double>(1)[0] == 0.5 && frame.is<double>("depth"));
  CHECK_FAILS(static_cast<void>(frame.span<double>("depths")), Errc::invalid_argument);
  CHECK_FAILS(static_cast<void>(frame.data(2)), Errc::invalid_argument);
  CHECK_FAILS(static_cast<void>(frame.shape(-1)), Errc::invalid_argument);
}

void images_with_gaps_and_upside_down_arrive_dense_and_upright() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  Subscriber subscriber(name);
  std::vector<std::uint8_t> padded(3 * 8, 0xEE);  // 3 rows of 2 pixels in 3 channels, 8 bytes apart
  for (std::size_t y = 0; y < 3; ++y)
    for (std::size_t x = 0; x < 6; ++x) padded[y * 8 + x] = static_cast<std::uint8_t>(10 * y + x);
  const std::vector<std::uint8_t> dense = {0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 25};
  publisher.send(Image(padded.data(), 3, 2, 3, 8));
  Frame frame = subscriber.recv(1s);
  CHECK(frame.shape() == Shape(3, 2, 3) && equal(frame.span<std::uint8_t>(), dense));
  publisher.send(Image(padded.data() + 16, 3, 2, 3, -8), {.pixel_format = "RGB8"});
  frame = subscriber.recv(1s);
  CHECK(frame.image<std::uint8_t>()(0, 0, 0) == 20 && frame.image<std::uint8_t>()(2, 1, 2) == 5);
  publisher.send(Image(std::as_const(padded).data(), 3, 8));
  frame = subscriber.recv(1s);
  CHECK(frame.shape() == Shape(3, 8) && equal(frame.span<std::uint8_t>(), padded));
  publisher.send(Image(padded.data(), 0, 640, 3));
  CHECK(subscriber.recv(1s).shape() == Shape(0, 640, 3));
}

void what_contradicts_itself_is_refused_before_anything_is_sent() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  Subscriber subscriber(name);
  const auto pixels = counted(24);
  std::uint16_t* const data = const_cast<std::uint16_t*>(pixels.data());
  CHECK_FAILS(publisher.send(pixels, {5, 5}), Errc::invalid_argument);
  CHECK_FAILS(publisher.send(pixels, {-4, 6}), Errc::invalid_argument);
  CHECK_FAILS(publisher.send(pixels, {1ULL << 40, 1ULL << 40}), Errc::frame_too_large);
  CHECK_FAILS(publisher.send(Image(data, 4, 6, 1, 11)), Errc::invalid_argument);  // shorter than a row
  CHECK_FAILS(publisher.send(Image(data, 4, 6, 1, -11)), Errc::invalid_argument);
  CHECK_FAILS(publisher.send(Image(data, 4, -6)), Errc::invalid_argument);
  CHECK_FAILS(publisher.send(Image(data, 1, 1LL << 62, 4)), Errc::frame_too_large);
  CHECK_FAILS(publisher.send(std::span<const ArrayRef>()), Errc::invalid_argument);
  CHECK_FAILS(publisher.send(std::vector<ArrayRef>(9, {"x", pixels, {24}})), Errc::invalid_argument);
  CHECK_FAILS(publisher.send({{std::string(33, 'x'), pixels, {24}}}), Errc::invalid_argument);
  CHECK_FAILS(publisher.send(pixels, {24}, {.pixel_format = "a name of more than thirty-two bytes"}),
              Errc::invalid_argument);
  CHECK_FAILS(publisher.send(pixels, {24}, {.meta_json = std::string_view(std::string(kMaxMetaBytes + 1, ' '))}),
              Errc::invalid_argument);
  CHECK(!subscriber.try_recv() && publisher.newest() == 0);
  CHECK(publisher.send(pixels, {24}) == 1);
  const Frame frame = subscriber.recv(1s);
  CHECK_FAILS(static_cast<void>(frame.span<std::int16_t>()), Errc::invalid_argument);
  CHECK_FAILS(static_cast<void>(frame.image<std::uint16_t>()), Errc::invalid_argument);  // one dimension
}

void a_loan_is_filled_in_place_and_arrives() {
  const std::string name = fresh_name();
  Publisher publisher(name);
  Subscriber subscriber(name);
  Loan loan = publisher.loan<std::uint16_t>({2, 2, 3});
  const Image<std::uint16_t> image = loan.image<std::uint16_t>();
  for (std::uint64_t y = 0; y < 2; ++y)
    for (std::uint16_t& element : image.row(y)) element = static_cast<std::uint16_t>(y);
  image(1, 1, 2) = 999;
  loan.set_pixel_format("BGR16");
  loan.set_timestamps(3, 4);
  CHECK_FAILS(static_cast<void>(loan.span<float>()), Errc::invalid_argument);
  Loan moved = std::move(loan);
  CHECK(moved.commit("{}") == 1 && !moved.is_open());
  CHECK_FAILS(static_cast<void>(moved.span<std::uint16_t>()), Errc::loan_ended);
  const Frame frame = subscriber.recv(1s);
  CHECK(frame.image<std::uint16_t>()(1, 1, 2) == 999 && frame.image<std::uint16_t>()(0, 1, 2) == 0);
  CHECK(frame.timestamp_ns() == 3 && frame.pixel_format() == "BGR16" && frame.meta_json() == "{}");
  moved = publisher.loan({ArraySpec::of<float>("x", {3}), ArraySpec::of<bool>("valid", {3})});
  moved.span<float>("x")[2] = 2.0F;
  moved.span<bool>("valid")[2] = true;
  moved = publisher.loan<float>({1});  // and the previous one was never sent
  moved.span<float>()[0] = 1.0F;
  CHECK(moved.commit() == 2 && subscriber.recv(1s).shape() == Shape(1));
  CHECK(publisher.statistics().frames == 2);
}

void a_loop_over_a_subscriber_ends_with_the_channel() {
  const std::string name = fresh_name();
  Publisher publisher(name, {.on_full = OnFull::block});
  Subscriber subscriber(name, {.every = true, .hold = 1});
  std::thread sender([&] {
    for (std::uint32_t i = 1; i <= 100; ++i) publisher.send(std::span(&i, 1), {});
    publisher.close();
  });
  std::uint32_t expected = 0;
  for (const Frame& frame : subscriber) CHECK(frame.span<std::uint32_t>()[0] == ++expected);
  sender.join();
  CHECK(expected == 100 && subscriber.is_ended());
  static_assert(std::input_iterator<Subscriber::Iterator>);
  static_assert(std::sentinel_for<std::default_sentinel_t, Subscriber::Iterator>);
}

void frames_can_be_kept_out_of_a_loop_and_outlive_everything() {
  const std::string name = fresh_name();
  std::vector<Frame> kept;
  {
    Publisher publisher(name);
    Subscriber subscriber(name, {.every = true, .hold = 4});
    for (std::uint8_t i = 1; i <= 3; ++i) publisher.send(std::span(&i, 1), {1});
    publisher.close();
    for (Frame& frame : subscriber) kept.push_back(std::move(frame));
  }
  CHECK(kept.size() == 3);
  for (std::uint8_t i = 0; i < 3; ++i) CHECK(kept[i].span<std::uint8_t>()[0] == i + 1);
  kept[0].release();
  CHECK(!kept[0].is_held());
  CHECK_FAILS(static_cast<void>(kept[0].seq()), Errc::frame_released);
}

void memory_of_a_slot_is_cold_some_time_after_its_last_use() {
  Publisher publisher(fresh_name());
  Loan loan = publisher.loan<std::uint8_t>({1});
  CHECK(loan.target() == Target::cached);  // the pages are new
  loan.drop();
  loan = publisher.loan<std::uint8_t>({1});  // the same slot, more than the nanosecond later that one byte allows
  CHECK(loan.target() == Target::cold);
  const Loan other = publisher.loan<std::uint8_t>({1});
  CHECK(other.target() == Target::cached);  // another slot, whose pages are new
  loan.drop();
  loan = publisher.loan<std::uint8_t>({64 << 20});  // a slot of a new store
  CHECK(loan.target() == Target::cached);
}

void warming_up_changes_nothing() {
  const std::string name = fresh_name();
  Publisher publisher(name, {.slots = 4, .on_full = OnFull::raise});
  publisher.warm_up();  // before the first frame: nothing
  CHECK(publisher.newest() == 0);
  Subscriber subscriber(name, {.every = true});
  for (std::uint8_t i = 1; i <= 3; ++i) {
    publisher.warm_up();
    publisher.send(std::span(&i, 1), {1});
    publisher.warm_up();
    CHECK(publisher.newest() == i);
    CHECK(publisher.statistics().frames == i);
  }
  Subscriber late(name, {.every = true, .history = 3});
  for (Subscriber* one : {&subscriber, &late}) {
    for (std::uint8_t i = 1; i <= 3; ++i) {
      const Frame frame = one->recv(0s);
      CHECK(frame.span<std::uint8_t>()[0] == i);
    }
    CHECK(!one->try_recv());
    CHECK(one->statistics().dropped == 0);
  }
  Publisher other(fresh_name());
  for (int i = 0; i < 3; ++i) other.loan<std::uint8_t>({1'000'000}).commit();  // in two slots
  std::this_thread::sleep_for(20ms);  // longer than 1 ns for each byte, after which a slot is cold
  other.warm_up();
  CHECK(other.loan<std::uint8_t>({1'000'000}).target() == Target::cold);  // a rehearsal has warmed no bytes
  publisher.close();
  publisher.warm_up();
}

void closing_an_end_ends_the_waits_of_other_threads_and_the_loans() {
  const std::string name = fresh_name();
  Publisher publisher(name, {.slots = 2, .on_full = OnFull::block});
  Subscriber idle(name);
  std::thread receiver([&] { CHECK_FAILS(idle.recv(), Errc::channel_closed); });
  std::thread walker([&] {
    CHECK_FAILS(
        [&] {
          for (const Frame& frame : idle) CHECK(frame.seq() == 0);
        }(),
        Errc::channel_closed);
  });
  idle.close();
  receiver.join();
  walker.join();
  Subscriber lagging(name, {.every = true});
  Loan early = publisher.loan<float>({1});
  std::atomic<std::uint64_t> sent{0};
  std::thread sender([&] {
    CHECK_FAILS(
        [&] {
          for (;;) sent = publisher.send(counted(1), {1});
        }(),
        Errc::channel_closed);
  });
  while (lagging.statistics().pending < 2) std::this_thread::yield();
  publisher.close();
  sender.join();
  CHECK(sent == lagging.statistics().pending);
  CHECK_FAILS(early.commit(), Errc::channel_closed);
}

void ends_are_moved_and_what_was_moved_from_is_closed() {
  const std::string name = fresh_name(), other = fresh_name();
  Publisher a(name), b(other);
  Subscriber to_a(name), to_b(other);
  Publisher moved = std::move(a);
  CHECK(a.is_closed() && !moved.is_closed());  // NOLINT: uses a moved-from object
  CHECK_FAILS(a.send(counted(1), {1}), Errc::moved_from);
  a.close();
  moved.send(counted(1), {1});
  b = std::move(moved);
  CHECK(b.name() == name && to_b.is_ended());
  Subscriber first = std::move(to_a);
  CHECK(to_a.is_closed() && first.recv(1s).seq() == 1);  // NOLINT: as above
  CHECK_FAILS(to_a.try_recv(), Errc::moved_from);
  to_b = std::move(first);
  CHECK(to_b.name() == name && b.statistics().subscribers == 1);
  b.send(counted(2), {2});
  CHECK(to_b.recv(1s).shape() == Shape(2));
}

void timeouts_are_durations() {
  static_assert(Timeout(1s).ns() == 1'000'000'000 && Timeout(1.5ms).ns() == 1'500'000 && Timeout(2ns).ns() == 2);
  static_assert(Timeout().ns() == -1 && kForever.ns() == -1 && kNoWait.ns() == 0);
  static_assert(Timeout(-1s).ns() == 0 && Timeout(std::chrono::nanoseconds::min()).ns() == 0);
  static_assert(Timeout(std::chrono::hours::max()).ns() == -1 && Timeout(std::chrono::seconds::max()).ns() == -1);
  static_assert(Timeout(std::chrono::duration<double>(0.25)).ns() == 250'000'000);
  static_assert(Timeout::from_ns(-5).ns() == -1 && Timeout::from_ns(5).ns() == 5);
  const std::string name = fresh_name();
  CHECK_FAILS(Subscriber late(name, {.connect_timeout = 1ms}), Errc::channel_not_found);
  const Publisher publisher(name);
  Subscriber subscriber(name);
  CHECK_FAILS(subscriber.recv(kNoWait), Errc::timeout);
  CHECK_FAILS(subscriber.recv(-1h), Errc::timeout);
  CHECK_FAILS(subscriber.recv(2ms), Errc::timeout);
}

void codes_say_what_exceptions_would() {
  const std::string name = fresh_name();
  std::error_code error;
  CHECK(!Subscriber::open(name, {}, error) && error == Errc::channel_not_found);
  CHECK(error == std::errc::no_such_file_or_directory && std::string(error.category().name()) == "framebus");
  CHECK(!Publisher::open("no name", {}, error) && error == Errc::invalid_name && error == std::errc::invalid_argument);
  auto publisher = Publisher::open(name, {.slots = 2, .on_full = OnFull::raise}, error);
  CHECK(publisher && !error);
  CHECK(!Publisher::open(name, {}, error) && error == Errc::channel_in_use);
  auto subscriber = Subscriber::open(name, {.every = true, .hold = 1}, error);
  CHECK(subscriber && !error);
  if (!publisher || !subscriber) return;
  CHECK(!subscriber->try_recv(error) && !error);
  CHECK(!subscriber->recv(1ms, error) && error == Errc::timeout && error == std::errc::timed_out);
  const auto pixels = counted(4);
  CHECK(publisher->send(pixels, {3}, {}, error) == 0 && error == Errc::invalid_argument);
  CHECK(publisher->send(pixels, {4}, {}, error) == 1 && !error);
  CHECK(publisher->send(Image(pixels.data(), 2, 2), {}, error) == 2 && !error);
  std::uint64_t sent = 2;
  while (publisher->send({{"a", pixels, {4}}}, {}, error) != 0) ++sent;
  CHECK(error == Errc::channel_full && error != std::errc::timed_out);
  CHECK(!publisher->loan<float>({4}, 1ms, error) && error == Errc::channel_full);
  auto blocking = Publisher::open(fresh_name(), {.slots = 2, .on_full = OnFull::block}, error);
  auto behind = Subscriber::open(blocking->name(), {.every = true}, error);
  while (blocking->send({{"a", pixels, {4}}}, {.timeout = 0s}, error) != 0) CHECK(!error);
  CHECK(error == Errc::channel_full_timeout && error == std::errc::timed_out);
  auto frame = subscriber->recv(1s, error);
  CHECK(frame && !error && frame->span<std::uint16_t>(0, error).size() == 4 && !error);
  CHECK(frame && frame->span<float>(0, error).empty() && error == Errc::invalid_argument);
  CHECK(!subscriber->try_recv(error) && error == Errc::too_many_held);
  frame.reset();
  auto loan = publisher->loan<float>({4}, 1s, error);
  CHECK(loan && !error && loan->commit({}, error) == ++sent && !error);
  CHECK(loan && loan->commit({}, error) == 0 && error == Errc::loan_ended);
  publisher->close();
  std::uint64_t received = 1;
  while (subscriber->next(error)) ++received;
  CHECK(received == sent && !error);
  CHECK(publisher->send(pixels, {4}, {}, error) == 0 && error == Errc::channel_closed);
  static_assert(noexcept(publisher->send(pixels, {4}, {}, error)) && noexcept(subscriber->recv(kNoWait, error)));
}

void every_code_has_a_sentence_of_its_own() {
  std::vector<std::string> sentences;
  for (int code = 1; code <= static_cast<int>(Errc::system); ++code) {
    const std::error_code error = static_cast<Errc>(code);
    CHECK(error && error.message() != error_category().message(0));
    for (const std::string& other : sentences) CHECK(other != error.message());
    sentences.push_back(error.message());
  }
  CHECK(!std::error_code(0, error_category()));
}

struct Point {  // two numbers, but no complex one
  using value_type = float;
  float x, y;
};

void element_types_are_those_of_numpy() {
  const auto is = [](ElementType t, char kind, char order, std::uint32_t bytes) {
    return t.kind == kind && t.order == order && t.bytes == bytes;
  };
  CHECK(is(element_type<std::uint8_t>(), 'u', '|', 1) && is(element_type<std::byte>(), 'u', '|', 1));
  CHECK(is(element_type<bool>(), 'b', '|', 1) && is(element_type<std::int64_t>(), 'i', '<', 8));
  CHECK(is(element_type<float>(), 'f', '<', 4) && is(element_type<std::complex<double>>(), 'c', '<', 16));
  CHECK(text_of(element_type<std::uint16_t>()) == "uint16" &&
        text_of(ElementType{'f', '>', 4}) == "foreign-endian float32");
  CHECK(text_of(Shape(1, 2, 3)) == "1x2x3" && text_of(Shape()) == "single value");
  static_assert(!Element<char> && !Element<wchar_t> && !Element<void*> && !Element<std::string>);
  static_assert(Element<std::complex<float>> && Element<const std::complex<long double>>);
  static_assert(!Element<std::complex<int>> && !Element<std::array<float, 2>> && !Element<Point>);
}

}  // namespace

int main() {
  what_is_sent_arrives_with_type_shape_and_facts();
  several_arrays_are_found_by_name_and_by_position();
  images_with_gaps_and_upside_down_arrive_dense_and_upright();
  what_contradicts_itself_is_refused_before_anything_is_sent();
  a_loan_is_filled_in_place_and_arrives();
  memory_of_a_slot_is_cold_some_time_after_its_last_use();
  warming_up_changes_nothing();
  a_loop_over_a_subscriber_ends_with_the_channel();
  frames_can_be_kept_out_of_a_loop_and_outlive_everything();
  closing_an_end_ends_the_waits_of_other_threads_and_the_loans();
  ends_are_moved_and_what_was_moved_from_is_closed();
  timeouts_are_durations();
  codes_say_what_exceptions_would();
  every_code_has_a_sentence_of_its_own();
  element_types_are_those_of_numpy();
  return check::finish();
}
