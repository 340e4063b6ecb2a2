// SPDX-License-Identifier: Apache-2.0
// The native half of framebus.Publisher; its subclass in src/framebus/channel/publisher.py is the other half.
//
// Promise: send() of an ndarray and loan() of one array run no Python code. Python functions check and convert other
// images, pixel formats, metadata and mappings of arrays before that.
#include <nanobind/stl/string.h>

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "call_python.hpp"
#include "convert.hpp"
#include "loan.hpp"
#include "long_call.hpp"
#include "native_method.hpp"
#include "numpy_api.hpp"

namespace framebus_python {

namespace {

using framebus::Loan;
using framebus::Publisher;
using framebus::detail::Descriptor;

// Until the end of the interpreter.
nb::handle prepare;     // prepare(image, meta, pixel_format): the arrays, the metadata as bytes, and the pixel format
nb::handle list_specs;  // list_specs(mapping): its items as tuples in a list; None for what is not a mapping
PyObject* image_name = nullptr;
PyObject* default_dtype = nullptr;
PyObject* rehearsed_image = nullptr;  // an ndarray and its shape, for warm_up()
PyObject* rehearsed_shape = nullptr;

// `frame` is an ndarray, or a dict of them.
void describe(nb::handle frame, Descriptor& d, PyArrayObject** arrays) {
  static const std::string kDefaultName{framebus::kDefaultArray};
  if (PyArray_Check(frame.ptr())) {
    arrays[0] = reinterpret_cast<PyArrayObject*>(frame.ptr());
    describe_array(arrays[0], kDefaultName, d.arrays[0]);
    d.array_count = 1;
  } else {
    const auto items = nb::cast<nb::dict>(frame);
    framebus::detail::check_array_count(items.size());
    for (const auto& [name, value] : items) {
      arrays[d.array_count] = reinterpret_cast<PyArrayObject*>(value.ptr());
      describe_array(arrays[d.array_count], array_name(name), d.arrays[d.array_count]);
      ++d.array_count;
    }
  }
  d.meta_offset = framebus::detail::plan_arrays(d);
}

void check_arrays(nb::handle frame) {
  PyArrayObject* arrays[framebus::detail::kMaxArrays];
  Descriptor d;
  describe(frame, d, arrays);
}

// `shape` is that of one array, or a mapping of (shape, dtype) by name, which a Python function looks through.
void describe_specs(nb::handle shape, nb::handle dtype, Descriptor& d) {
  const bool is_one = PyTuple_Check(shape.ptr()) || PyLong_Check(shape.ptr()) || PyList_Check(shape.ptr());
  const nb::object specs = is_one ? nb::none() : call_python(list_specs, shape);
  if (specs.is_none()) {
    describe_spec(image_name, shape, dtype, d.arrays[d.array_count++]);
  } else {
    framebus::detail::check_array_count(nb::len(specs));
    for (const nb::handle spec : specs) {
      PyObject *name = nullptr, *its_shape = nullptr, *its_dtype = nullptr;
      if (PyArg_ParseTuple(spec.ptr(), "OOO", &name, &its_shape, &its_dtype) == 0) throw nb::python_error();
      describe_spec(name, its_shape, its_dtype, d.arrays[d.array_count++]);
    }
  }
  d.meta_offset = framebus::detail::plan_arrays(d);
}

// The description of the last loan, for the next one with the very same arguments, as a loop passes them.
class LastSpecs {
 public:
  // Describes a loan as describe_specs() does.
  void describe(nb::handle shape, nb::handle dtype, Descriptor& d) {
    if (shape.ptr() == shape_.ptr() && dtype.ptr() == dtype_.ptr()) {
      d = description_;
      return;
    }
    describe_specs(shape, dtype, d);
    if (!is_constant(shape) || !(PyUnicode_CheckExact(dtype.ptr()) || PyArray_DescrCheck(dtype.ptr()))) return;
    shape_ = nb::borrow(shape);
    dtype_ = nb::borrow(dtype);
    description_ = d;
  }
  [[nodiscard]] nb::handle shape() const { return shape_.is_valid() ? shape_.ptr() : rehearsed_shape; }
  [[nodiscard]] nb::handle dtype() const { return dtype_.is_valid() ? dtype_.ptr() : default_dtype; }

 private:
  static bool is_constant(nb::handle shape) {
    if (!PyTuple_CheckExact(shape.ptr())) return PyLong_CheckExact(shape.ptr()) != 0;
    for (const nb::handle length : nb::borrow<nb::tuple>(shape)) {
      if (!PyLong_CheckExact(length.ptr())) return false;
    }
    return true;
  }

  nb::object shape_, dtype_;  // null before the first
  Descriptor description_;
};

// Ends a rehearsal early: there is no frame yet, or another thread is sending.
struct NothingToRehearse {};

class PublisherBase {
 public:
  PublisherBase(const std::string& name, std::uint32_t slots, std::uint64_t max_bytes, std::uint32_t mode,
                const std::string& on_full)
      : publisher_(name, options(slots, max_bytes, mode, on_full)) {}

  // `frame` as describe() takes it; the others as Publisher.send() takes them, the metadata as bytes.
  std::uint64_t send(nb::handle frame, nb::handle meta, nb::handle pixel_format, nb::handle timeout,
                     nb::handle timestamp_ns, nb::handle wall_time_ns, bool rehearsal = false) {
    PyArrayObject* arrays[framebus::detail::kMaxArrays];
    Descriptor d;
    describe(frame, d, arrays);
    const std::string_view text = bytes_view(meta);
    Loan loan = claim(d, text.size(), timeout_ns(timeout), rehearsal);
    lends_ = false;
    for (std::uint32_t i = 0; i < d.array_count && !rehearsal; ++i) {
      copy_into(loan.data(i), loan.frame().arrays[i], arrays[i], loan.target());
    }
    if (!pixel_format.is_none()) loan.set_pixel_format(text_view(pixel_format));
    loan.set_timestamps(moment_ns(timestamp_ns, "timestamp_ns"), moment_ns(wall_time_ns, "wall_time_ns"));
    if (rehearsal) return loan.try_commit(text).value_or(0);
    const std::uint64_t seq = commit_quickly(loan, text);
    lending_->first_frame.sent();
    return seq;
  }

  nb::object loan(nb::handle shape, nb::handle dtype, nb::handle meta, nb::handle pixel_format, nb::handle timeout,
                  bool rehearsal = false) {
    Descriptor d;
    last_specs_.describe(shape, dtype, d);
    Loan loan = claim(d, 0, timeout_ns(timeout), rehearsal);
    lends_ = true;
    return python_loan(std::move(loan), lending_, meta, pixel_format);
  }

  [[nodiscard]] bool lends() const noexcept { return lends_; }
  [[nodiscard]] const LastSpecs& last_specs() const noexcept { return last_specs_; }

  void call_after_first_frame(nb::object then) { lending_->first_frame.then = std::move(then); }
  void say_closed_by(std::string message) { closed_by_ = std::move(message); }

  void close() {
    const LongCall call;
    publisher_.close();
  }
  bool is_closed() const { return publisher_.is_closed(); }

  nb::dict statistics() const { return to_dict(publisher_.statistics()); }

 private:
  static framebus::PublisherOptions options(std::uint32_t slots, std::uint64_t max_bytes, std::uint32_t mode,
                                            const std::string& on_full) {
    using framebus::OnFull;
    const OnFull policy = on_full == "block" ? OnFull::block : on_full == "raise" ? OnFull::raise : OnFull::drop;
    return {slots, max_bytes, mode, policy};
  }

  Loan claim(const Descriptor& d, std::uint64_t meta_bytes, std::int64_t timeout, bool rehearsal) {
    try {
      if (auto loan = publisher_.try_loan(d, meta_bytes, rehearsal)) return std::move(*loan);
      if (rehearsal) throw NothingToRehearse();
      const LongCall call;
      return publisher_.loan(d, meta_bytes, framebus::Timeout::from_ns(timeout), check_signals);
    } catch (const framebus::Error& error) {
      if (closed_by_.empty() || error.code() != framebus::Errc::channel_closed) throw;
      framebus::detail::fail(error.code(), closed_by_);
    }
  }

  Publisher publisher_;
  std::shared_ptr<Lending> lending_ = std::make_shared<Lending>();
  std::string closed_by_;  // what the error says instead of that the publisher is closed
  bool lends_ = false;     // the last frame was lent
  LastSpecs last_specs_;
};

// A call of send() or loan() with the values of its parameters, null for what was not passed.
constexpr std::array<const char*, 7> kOfSend = {"image",        "meta",         "pixel_format", "timeout",
                                                "timestamp_ns", "wall_time_ns", "seq"};
using SendValues = std::array<PyObject*, kOfSend.size()>;
SendValues read_send(const Arguments& given) {
  static const Parameters<kOfSend.size()> kParameters("Publisher.send", kOfSend, 1, 1);
  return kParameters.read(given);
}
constexpr std::array<const char*, 5> kOfLoan = {"shape", "dtype", "meta", "pixel_format", "timeout"};
using LoanValues = std::array<PyObject*, kOfLoan.size()>;
LoanValues read_loan(const Arguments& given) {
  static const Parameters<kOfLoan.size()> kParameters("Publisher.loan", kOfLoan, 2, 1);
  return kParameters.read(given);
}

nb::object send(PyObject* self, const Arguments& given) {
  const auto [image, meta, pixel_format, timeout, timestamp_ns, wall_time_ns, seq] = read_send(given);
  auto& publisher = object_of<PublisherBase>(self);
  const nb::handle format = or_none(pixel_format), json = or_none(meta);
  std::uint64_t sent = 0;
  if (PyArray_CheckExact(image) && format.is_none() && json.is_none()) {
    sent = publisher.send(image, json, format, or_none(timeout), or_none(timestamp_ns), or_none(wall_time_ns));
  } else {
    const auto ready = nb::cast<nb::tuple>(call_python(prepare, nb::handle(image), json, format));
    const nb::object frame = ready[0], bytes = ready[1], name = ready[2];
    sent = publisher.send(frame, bytes, name, or_none(timeout), or_none(timestamp_ns), or_none(wall_time_ns));
  }
  return nb::steal(PyLong_FromUnsignedLongLong(sent));
}

nb::object loan(PyObject* self, const Arguments& given) {
  const auto [shape, dtype, meta, pixel_format, timeout] = read_loan(given);
  return object_of<PublisherBase>(self).loan(shape, dtype == nullptr ? default_dtype : dtype, or_none(meta),
                                             or_none(pixel_format), or_none(timeout));
}

// The way of send(), or of a loan and its block if the last frame was lent, with what they begin with.
nb::object warm_up(PyObject* self) {
  auto& publisher = object_of<PublisherBase>(self);
  const nb::handle none = Py_None;
  try {
    if (publisher.lends()) {
      const nb::handle shape = publisher.last_specs().shape(), dtype = publisher.last_specs().dtype();
      PyObject* const passed = shape.ptr();
      static_cast<void>(read_loan({&passed, 1}));
      rehearse(publisher.loan(shape, dtype, none, none, none, true));
    } else {
      static_cast<void>(read_send({&rehearsed_image, 1}));
      publisher.send(rehearsed_image, none, none, none, none, none, true);
    }
  } catch (const NothingToRehearse&) {  // the next frame comes without
  } catch (const framebus::Error&) {    // it is closed, which the next frame says
  }
  return nb::none();
}

PyMethodDef methods[] = {
    method_with_arguments<send>(
        "send",
        R"(send($self, /, image, *, meta=None, pixel_format=None, timeout=None, timestamp_ns=None, wall_time_ns=None, seq=None)
--

Copies one frame into shared memory, makes it visible to every subscriber, and returns its sequence number.

Args:
    image: an array of bool, integer, float or complex numbers with 0 to 8 dimensions, of any strides and byte
        order; or a buffer (bytes are uint8), a Pillow image, a DLPack object in CPU memory; or a dict of 1 to 8
        of these by name (1 to 32 bytes of UTF-8). Subscribers get the same shapes and dtypes in C order. A
        Pillow image brings the pixel format of its mode, such as RGB8.
    meta: JSON values by str keys, at most 1 MiB as JSON.
    pixel_format: a PFNC name, for example "BGR8"; says how to read the first array, and is not checked
        against it, but for a Pillow image.
    timeout: seconds to wait where on_full="block"; None: no limit.
    timestamp_ns: when the frame was captured, CLOCK_MONOTONIC; None for now.
    wall_time_ns: the same by the wall clock; None for now.
    seq: of no effect; other sinks take the number that the frame has at its source, a channel counts for
        itself.

Raises:
    TypeError: not an array of numbers, or metadata that is not JSON; says what to send instead.
    ValueError: more than 8 dimensions or arrays, a pixel format that is unknown or contradicts a Pillow image,
        a negative timeout.
    ChannelFull: on_full="raise".
    ChannelFullTimeout: on_full="block", and the timeout ran out; also a ChannelFull and a Timeout.
    FrameTooLarge: shared memory is full; says what was wanted and what is free.
    ChannelClosed: this Publisher has been closed.)"),
    method_with_arguments<loan>("loan",
                                R"(loan($self, /, shape, dtype='uint8', *, meta=None, pixel_format=None, timeout=None)
--

Lends a slot to be filled in place, for one array or, given a dict of (shape, dtype) by name, for several.

    with pub.loan((1080, 1920, 3), "uint8") as frame:
        camera.read_into(frame.array)

The frame is sent at the end of the block and dropped if the block raises. At the beginning the
array has the values of an earlier frame. Keep nothing of the array beyond the block but in a variable of the
function: where something could still write to it (a slice, a memoryview, an attribute), a copy is sent.
Raises what send() raises.)"),
    method_without_arguments<warm_up>("warm_up",
                                      R"(warm_up($self, /)
--

Makes the next send() or loan() quicker: goes its way without sending, so that what it needs is in the caches.

For programs that know when the next frame comes, as from a camera: to be called some 100 µs before. Has no effect
that anybody can see, and takes about as long as a send() without its copy. Does nothing before the first frame,
after close(), in a forked child, and while another thread sends.)"),
    kClassGetItem,
    {nullptr, nullptr, 0, nullptr}};
PyType_Slot slots[] = {{Py_tp_methods, static_cast<void*>(methods)}, {0, nullptr}};

}  // namespace

void bind_publisher(nb::module_& m) {
  image_name = PyUnicode_InternFromString(std::string(framebus::kDefaultArray).c_str());
  default_dtype = PyUnicode_InternFromString("uint8");
  npy_intp one = 1;
  rehearsed_image = PyArray_ZEROS(1, &one, NPY_UINT8, 0);
  rehearsed_shape = PyTuple_Pack(1, PyLong_FromLong(1));
  nb::class_<PublisherBase>(m, "PublisherBase", nb::type_slots(slots), nb::sig("class PublisherBase(Generic[LoanT])"),
                            "The native half of framebus.Publisher.")
      .def(nb::init<const std::string&, std::uint32_t, std::uint64_t, std::uint32_t, const std::string&>(),
           nb::arg("name"), nb::arg("slots"), nb::arg("max_bytes"), nb::arg("mode"), nb::arg("on_full"))
      .def("_call_after_first_frame", &PublisherBase::call_after_first_frame, nb::arg("then"),
           nb::sig("def _call_after_first_frame(self, then: collections.abc.Callable[[], object]) -> None"),
           "Has the thread that sends the first frame call `then` after it, once.")
      .def("_say_closed_by", &PublisherBase::say_closed_by, nb::arg("message"),
           "What ChannelClosed says where send() and loan() raise it from now on.")
      .def("_leave", &PublisherBase::close, "Ends the channel for its subscribers.")
      .def_prop_ro("closed", &PublisherBase::is_closed, "Whether close() was called.")
      .def("_figures", &PublisherBase::statistics, nb::sig("def _figures(self) -> dict[str, typing.Any]"),
           "Counts and measurements, see framebus.Statistics.");
  m.def(
      "set_prepare",
      [](nb::handle for_send, nb::handle for_loan) {
        prepare = for_send.inc_ref();
        list_specs = for_loan.inc_ref();
      },
      nb::arg("for_send"), nb::arg("for_loan"),
      nb::sig(
          "def set_prepare(for_send: collections.abc.Callable[[object, typing.Any, str | None], tuple[object, bytes "
          "| None, str | None]], for_loan: collections.abc.Callable[[object], list[tuple[typing.Any, typing.Any, "
          "typing.Any]] | None]) -> None"),
      "Sets two functions: `for_send` converts image, metadata and pixel format, `for_loan` lists the arrays of a "
      "mapping as (name, shape, dtype) and returns None for anything else.");
  m.def("check_arrays", check_arrays, nb::arg("frame"), "Refuses an array, or a dict of them, as send() does.");
}

}  // namespace framebus_python
