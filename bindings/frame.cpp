// SPDX-License-Identifier: Apache-2.0
// The native half of framebus.Frame; its subclass in src/framebus/frames/frame.py is the other half.
//
// Promise: a received frame is one small object; arrays, their dict and metadata are made at the first access. The
// other attributes stay readable after release(), which drops the arrays and the slot, unless the user has kept an
// array.
//
// Holding the slot: at first the frame does. With its first array the slot moves into a Hold, which is the base of all
// arrays and which the frame refers to. So arrays outlive the frame, and there is no reference cycle: a Hold refers to
// nothing.
#include "frame.hpp"

#include <nanobind/stl/string.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "call_python.hpp"
#include "numpy_api.hpp"

namespace framebus_python {

namespace {

using framebus::Frame;

struct Hold {
  Frame frame;
};

class FrameBase {
 public:
  FrameBase(nb::dict arrays, std::int64_t seq, std::int64_t timestamp_ns, std::int64_t wall_time_ns,
            nb::object pixel_format)
      : seq_(seq), timestamp_ns_(timestamp_ns), wall_time_ns_(wall_time_ns), pixel_format_(std::move(pixel_format)) {
    framebus::detail::check_array_count(arrays.size());
    for (const auto& [name, array] : arrays) {
      first_ = nb::borrow(array);
      break;
    }
    arrays_ = std::move(arrays);
  }
  explicit FrameBase(Frame&& frame)
      : frame_(std::move(frame)),
        seq_(static_cast<std::int64_t>(frame_->info().seq)),
        timestamp_ns_(frame_->info().timestamp_ns),
        wall_time_ns_(frame_->info().wall_time_ns) {
    const std::string_view name = frame_->info().pixel_format();
    if (!name.empty()) {
      pixel_format_ = nb::steal(PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), "replace"));
    }
  }

  [[nodiscard]] std::int64_t seq() const noexcept { return seq_; }
  [[nodiscard]] std::int64_t timestamp_ns() const noexcept { return timestamp_ns_; }
  [[nodiscard]] std::int64_t wall_time_ns() const noexcept { return wall_time_ns_; }
  [[nodiscard]] nb::object pixel_format() const { return pixel_format_.is_valid() ? pixel_format_ : nb::none(); }

  nb::object array() {
    if (!first_.is_valid()) first_ = made(0);
    return first_;
  }

  nb::object arrays() {
    if (!arrays_.is_valid()) {
      nb::dict arrays;
      const framebus::detail::Descriptor& info = held().info();
      for (std::uint32_t i = 0; i < info.array_count; ++i) {
        const std::string_view name = info.arrays[i].name();
        const nb::object key =
            nb::steal(PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), "replace"));
        arrays[key] = i == 0 ? array() : made(i);
      }
      arrays_ = std::move(arrays);
    }
    return arrays_;
  }

  nb::bytes meta_json() {
    const std::string_view text = held().meta_json();
    return nb::bytes(text.data(), text.size());
  }

  [[nodiscard]] bool is_released() const noexcept { return !frame_ && !hold_.is_valid() && !first_.is_valid(); }
  void release() {
    // Moved out first: code that runs while these are destroyed does not find them here.
    const auto frame = std::exchange(frame_, std::nullopt);
    const nb::object hold = std::move(hold_), first = std::move(first_), arrays = std::move(arrays_);
  }

  // For the garbage collector: a user's own array may refer back to this frame.
  int traverse(visitproc visit, void* arg) {
    for (const nb::object* object : {&first_, &arrays_, &hold_, &pixel_format_}) Py_VISIT(object->ptr());
    return 0;
  }

 private:
  const Frame& held() {
    if (hold_.is_valid()) return nb::inst_ptr<Hold>(hold_)->frame;
    if (!frame_) {
      framebus::detail::fail(
          framebus::Errc::frame_released,
          "this frame has been released; use it before release(), or keep an array of it, or copy() it");
    }
    return *frame_;
  }
  nb::object made(std::uint32_t i) {
    const Frame& frame = held();
    if (frame_) {
      hold_ = nb::cast(Hold{std::move(*frame_)});
      frame_.reset();
      return made(i);
    }
    // Never written to: the array is read-only, and so is the mapping.
    return array_over(frame.info().arrays[i], const_cast<std::byte*>(frame.data(i)), hold_, false);
  }

  std::optional<Frame> frame_;
  nb::object hold_;
  nb::object first_, arrays_;
  std::int64_t seq_;
  std::int64_t timestamp_ns_, wall_time_ns_;
  nb::object pixel_format_;
};

// Never released: they are needed until the interpreter ends, and static objects are destroyed after it.
nb::handle frame_class;     // framebus.Frame
nb::handle python_warm_up;  // called with an array of a frame

int traverse_frame(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return nb::inst_ready(self) ? nb::inst_ptr<FrameBase>(self)->traverse(visit, arg) : 0;
}
int clear_frame(PyObject* self) {
  if (nb::inst_ready(self)) nb::inst_ptr<FrameBase>(self)->release();
  return 0;
}
PyType_Slot frame_slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(traverse_frame)},
                             {Py_tp_clear, reinterpret_cast<void*>(clear_frame)},
                             {0, nullptr}};

}  // namespace

nb::object python_frame(Frame&& frame) {
  nb::object object = nb::inst_alloc(frame_class);
  new (nb::inst_ptr<FrameBase>(object)) FrameBase(std::move(frame));
  nb::inst_mark_ready(object);
  return object;
}

void warm_up() {
  const nb::gil_scoped_acquire acquire;
  static std::byte nothing[framebus::detail::kLine];
  framebus::detail::ArrayInfo info{};
  info.type = {'u', '|', 1};
  info.ndim = 1;
  info.shape[0] = 1;
  const nb::object frame = nb::inst_alloc(frame_class), hold = nb::inst_alloc(nb::type<Hold>());
  try {
    call_python(python_warm_up, array_over(info, nothing, hold, false));
  } catch (nb::python_error& error) {
    if (!error.matches(PyExc_Exception)) throw;  // KeyboardInterrupt
    error.discard_as_unraisable("framebus: warming up for a frame");
  }
}

void bind_frame(nb::module_& m) {
  nb::class_<Hold>(m, "Hold", "Holds a slot for the arrays made from it.");
  nb::class_<FrameBase>(m, "FrameBase", nb::type_slots(frame_slots), "The native half of framebus.Frame.")
      .def(nb::init<nb::dict, std::int64_t, std::int64_t, std::int64_t, nb::object>(), nb::arg("arrays"),
           nb::arg("seq"), nb::arg("timestamp_ns"), nb::arg("wall_time_ns"), nb::arg("pixel_format").none(),
           nb::sig("def __init__(self, arrays: dict[str, numpy.typing.NDArray[typing.Any]], seq: int, timestamp_ns: "
                   "int, wall_time_ns: int, pixel_format: str | None) -> None"))
      .def_prop_ro("seq", &FrameBase::seq, "Sequence number in its channel, from 1, without repeats.")
      .def_prop_ro(
          "timestamp_ns", &FrameBase::timestamp_ns,
          "Time of capture, CLOCK_MONOTONIC, in nanoseconds; the time of publication unless the sender set it.")
      .def_prop_ro("wall_time_ns", &FrameBase::wall_time_ns,
                   "The same time by the wall clock, nanoseconds since 1970 UTC.")
      .def_prop_ro("pixel_format", &FrameBase::pixel_format,
                   nb::for_getter(nb::sig("def pixel_format(self) -> str | None")),
                   "PFNC name such as \"BGR8\", or None.")
      .def_prop_ro(
          "array", &FrameBase::array, nb::for_getter(nb::sig("def array(self) -> numpy.typing.NDArray[typing.Any]")),
          "The first array, in the shape and dtype that were sent, C order. Read-only if the frame is a view.\n\n"
          "Raises Error after release().")
      .def_prop_ro("arrays", &FrameBase::arrays,
                   nb::for_getter(nb::sig("def arrays(self) -> dict[str, numpy.typing.NDArray[typing.Any]]")),
                   "All arrays by name, in the order they were sent; a single array has the name \"image\".\n\n"
                   "Raises Error after release().")
      .def("meta_json", &FrameBase::meta_json, "The metadata as JSON bytes, empty for none.")
      .def_prop_ro("released", &FrameBase::is_released, "Whether release() was called.")
      .def("release", &FrameBase::release,
           "Releases the slot now. Arrays that the caller has kept stay valid, and keep the slot until they are gone.");
  m.attr("FrameT") = nb::module_::import_("typing").attr("TypeVar")("FrameT", nb::arg("bound") = m.attr("FrameBase"));
  m.def(
      "set_frame_class",
      [](nb::object type, nb::object warm_up) {
        frame_class = type.release();
        python_warm_up = warm_up.release();
      },
      nb::arg("type"), nb::arg("warm_up"),
      nb::sig("def set_frame_class(type: type[FrameBase], warm_up: "
              "collections.abc.Callable[[numpy.typing.NDArray[typing.Any]], "
              "None]) -> None"),
      "Sets the class of received frames, a subclass of FrameBase, and a function that is called with an empty array "
      "shortly before a frame is due.");
}

}  // namespace framebus_python
