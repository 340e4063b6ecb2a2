// SPDX-License-Identifier: Apache-2.0
// Subscriber and its frames for Python. The arrays of a frame are based on the FrameView object, which holds the slot.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <string>
#include <utility>

#include "convert.hpp"
#include "long_call.hpp"
#include "numpy_api.hpp"

namespace framebus_python {

namespace {

using framebus::Frame;
using framebus::Subscriber;

class FrameView {
 public:
  explicit FrameView(Frame frame) : frame_(std::move(frame)) {}

  // Sequence, timestamp, wall time and pixel format in one call.
  [[nodiscard]] nb::tuple facts() const {
    const framebus::Descriptor& d = frame_.info();
    return nb::make_tuple(d.seq, d.timestamp_ns, d.wall_time_ns, pixel_format());
  }
  [[nodiscard]] std::int64_t published_ns() const { return frame_.info().published_ns; }
  [[nodiscard]] std::uint32_t count() const { return frame_.info().array_count; }
  [[nodiscard]] nb::object pixel_format() const {
    const std::string_view name = frame_.info().pixel_format();
    if (name.empty()) return nb::none();
    return nb::steal(PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), "replace"));
  }
  [[nodiscard]] nb::bytes meta() const {
    const std::string_view text = frame_.meta_json();
    return nb::bytes(text.data(), text.size());
  }
  [[nodiscard]] nb::tuple names() const {
    nb::list names;
    for (std::uint32_t i = 0; i < count(); ++i) {
      const std::string_view name = frame_.info().arrays[i].name();
      names.append(nb::steal(PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), "replace")));
    }
    return nb::tuple(names);
  }
  [[nodiscard]] const framebus::ArrayInfo& array_info(std::uint32_t i) const {
    if (i >= count()) throw nb::index_error();
    return frame_.info().arrays[i];
  }
  [[nodiscard]] const std::byte* data(std::uint32_t i) const { return frame_.data(i); }

 private:
  Frame frame_;
};

nb::object view_array(nb::handle_t<FrameView> self, std::uint32_t i) {
  const auto& view = *nb::inst_ptr<FrameView>(self);
  const framebus::ArrayInfo& info = view.array_info(i);
  // Not written through: the array is read-only, and so is the mapping.
  return array_over(info, const_cast<std::byte*>(view.data(i)), self, false);
}

class PySubscriber {
 public:
  PySubscriber(const std::string& name, bool every, std::int64_t hold, std::int64_t history, double connect_timeout,
               const std::string& wait, bool reconnect, bool observer, bool keeper) {
    const framebus::SubscriberOptions options{
        every,
        static_cast<std::uint32_t>(hold),
        static_cast<std::uint32_t>(history),
        framebus::Timeout::from_ns(timeout_ns(connect_timeout, "connect_timeout")),
        policy(wait),
        reconnect,
        observer,
        keeper};
    const LongCall call;
    subscriber_ = std::make_unique<Subscriber>(name, options, check_signals);
  }

  std::optional<FrameView> try_recv() {
    auto frame = subscriber_->try_recv();
    if (!frame) return std::nullopt;
    return FrameView(std::move(*frame));
  }

  FrameView recv(std::optional<double> timeout) {
    const std::int64_t limit = timeout_ns(timeout);
    if (auto frame = subscriber_->try_recv()) return FrameView(std::move(*frame));
    const LongCall call;
    return FrameView(subscriber_->recv(framebus::Timeout::from_ns(limit), check_signals));
  }

  std::optional<FrameView> next(std::optional<double> timeout) {
    const std::int64_t limit = timeout_ns(timeout);
    const LongCall call;
    auto frame = subscriber_->next(framebus::Timeout::from_ns(limit), check_signals);
    if (!frame) return std::nullopt;
    return FrameView(std::move(*frame));
  }

  bool is_ended() const { return subscriber_->is_ended(); }
  int fileno() { return subscriber_->fileno(); }
  void close() {
    const LongCall call;
    subscriber_->close();
  }
  bool is_closed() const { return subscriber_->is_closed(); }

  nb::dict statistics() const { return to_dict(subscriber_->statistics()); }
  Subscriber& core() const { return *subscriber_; }

 private:
  static framebus::Wait policy(const std::string& name) {
    using framebus::Wait;
    if (name == "park") return Wait::park;
    if (name == "spin") return Wait::spin;
    return name == "predictive" ? Wait::predictive : Wait::adaptive;
  }

  std::unique_ptr<Subscriber> subscriber_;
};

}  // namespace

Subscriber& subscriber_of(nb::handle object) { return nb::cast<PySubscriber&>(object).core(); }

void bind_subscriber(nb::module_& m) {
  nb::class_<FrameView>(m, "FrameView", "A held frame; its arrays keep it.")
      .def("facts", &FrameView::facts, nb::sig("def facts(self) -> tuple[int, int, int, str | None]"),
           "Sequence number, CLOCK_MONOTONIC and CLOCK_REALTIME of capture, PFNC name or None.")
      .def_prop_ro("published_ns", &FrameView::published_ns, "CLOCK_MONOTONIC of publication.")
      .def("meta", &FrameView::meta, "The metadata as JSON bytes, empty for none.")
      .def("names", &FrameView::names, nb::sig("def names(self) -> tuple[str, ...]"),
           "The names of the arrays, in order.")
      .def("array", &view_array, nb::arg("index"),
           nb::sig("def array(self, index: int) -> numpy.typing.NDArray[typing.Any]"),
           "The read-only array of that index.");
  nb::class_<PySubscriber>(m, "Subscriber", "The receiving end of a channel.")
      .def(nb::init<const std::string&, bool, std::int64_t, std::int64_t, double, const std::string&, bool, bool,
                    bool>(),
           nb::arg("name"), nb::arg("every"), nb::arg("hold"), nb::arg("history"), nb::arg("connect_timeout"),
           nb::arg("wait"), nb::arg("reconnect"), nb::arg("observer"), nb::arg("keeper") = false)
      .def("try_recv", &PySubscriber::try_recv, "The next frame or None.")
      .def("recv", &PySubscriber::recv, nb::arg("timeout").none(), "The next frame; waits.")
      .def("next", &PySubscriber::next, nb::arg("timeout").none(),
           "The next frame, None at the end of the channel; waits.")
      .def("is_ended", &PySubscriber::is_ended, "Closed by its publisher, and nothing left to fetch.")
      .def("fileno", &PySubscriber::fileno, "A descriptor readable when there may be news.")
      .def("close", &PySubscriber::close, "Leaves the channel; frames that are kept stay valid.")
      .def("is_closed", &PySubscriber::is_closed, "Whether close() was called.")
      .def("statistics", &PySubscriber::statistics, nb::sig("def statistics(self) -> dict[str, typing.Any]"),
           "Counts and figures, see framebus.Statistics.");
}

}  // namespace framebus_python
