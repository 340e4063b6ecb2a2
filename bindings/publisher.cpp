// SPDX-License-Identifier: Apache-2.0
// Publisher and Loan for Python.
//
// Memory owns a loan's slot. There are two objects for each of its arrays: a base over the memory, which no user gets,
// and a view of it, which the user gets. numpy bases every array derived from the view on that base, so at the end of
// the block the base's reference count shows whether another writable view still exists. Buffers and DLPack capsules
// refer to the view itself, as variables do; src/framebus/channel/loan.py distinguishes those. If an object that can
// write is left, a copy is published and the slot stays with that object (see docs/design.md).
#include <nanobind/stl/string.h>

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "convert.hpp"
#include "long_call.hpp"
#include "numpy_api.hpp"
#include "shortcut.hpp"

namespace framebus_python {

namespace {

using framebus::Loan;
using framebus::Publisher;
using framebus::detail::Descriptor;

// Keeps the GIL if the commit takes no time.
std::uint64_t commit(Loan& loan, std::string_view meta) {
  if (const auto seq = loan.try_commit(meta)) return *seq;
  const LongCall call;
  return loan.commit(meta, check_signals);
}

struct Memory {
  std::shared_ptr<Loan> loan;
};

class PyLoan {
 public:
  explicit PyLoan(Loan loan) : loan_(std::make_shared<Loan>(std::move(loan))) {}

  nb::object array(std::uint32_t i) {
    if (i >= loan_->frame().array_count) throw nb::index_error();
    if (!open_) {
      framebus::detail::fail(
          framebus::Errc::loan_ended,
          "this loan has ended: its frame was sent or dropped; use the array inside the with block, or "
          "copy() it there");
    }
    if (!arrays_[i].is_valid()) {
      const nb::object memory = nb::cast(Memory{loan_});
      bases_[i] = array_over(loan_->frame().arrays[i], loan_->data(i), memory, true);
      arrays_[i] = array_over(loan_->frame().arrays[i], loan_->data(i), bases_[i], true);
    }
    return arrays_[i];
  }

  nb::tuple names() const {
    nb::list names;
    for (std::uint32_t i = 0; i < loan_->frame().array_count; ++i) {
      const std::string_view name = loan_->frame().arrays[i].name();
      names.append(nb::str(name.data(), name.size()));
    }
    return nb::tuple(names);
  }

  // The arrays that other objects refer to, each with the number of references.
  nb::list kept() const {
    nb::list list;
    for (const nb::object& array : arrays_) {
      if (array.is_valid() && Py_REFCNT(array.ptr()) > 1)
        list.append(nb::make_tuple(array, Py_REFCNT(array.ptr()) - 1));
    }
    return list;
  }

  // `escaped`: an object that can still write was made from the arrays.
  std::uint64_t commit(nb::handle meta, nb::handle pixel_format, bool escaped) {
    const bool copy = end() || escaped;
    if (!pixel_format.is_none()) loan_->set_pixel_format(text_view(pixel_format));
    const std::string_view text = bytes_view(meta);
    if (!copy) return framebus_python::commit(*loan_, text);
    const LongCall call;
    return loan_->commit_copy(text, check_signals);
  }

  void drop(bool escaped) {
    if (open_ && !end() && !escaped) loan_->drop();
  }

 private:
  // Makes the user's arrays read-only; true if derived arrays exist that can still write.
  bool end() {
    if (!open_) framebus::detail::fail(framebus::Errc::loan_ended, "this loan has ended already");
    open_ = false;
    bool kept = false;
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      if (!arrays_[i].is_valid()) continue;
      kept = kept || Py_REFCNT(bases_[i].ptr()) > 2;  // bases_ and arrays_[i] itself
      for (nb::object* object : {&arrays_[i], &bases_[i]}) {
        PyArray_CLEARFLAGS(reinterpret_cast<PyArrayObject*>(object->ptr()), NPY_ARRAY_WRITEABLE);
        object->reset();
      }
    }
    return kept;
  }

  std::shared_ptr<Loan> loan_;
  std::array<nb::object, framebus::detail::kMaxArrays> bases_, arrays_;
  bool open_ = true;
};

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

class PyPublisher {
 public:
  PyPublisher(const std::string& name, std::uint32_t slots, std::uint64_t max_bytes, std::uint32_t mode,
              const std::string& on_full)
      : publisher_(name, options(slots, max_bytes, mode, on_full)) {}

  std::uint64_t send(nb::handle frame, nb::handle meta, nb::handle pixel_format, nb::handle timeout,
                     nb::handle timestamp_ns, nb::handle wall_time_ns) {
    PyArrayObject* arrays[framebus::detail::kMaxArrays];
    Descriptor d;
    describe(frame, d, arrays);
    const std::string_view text = bytes_view(meta);
    Loan loan = claim(d, text.size(), timeout_ns(timeout));
    for (std::uint32_t i = 0; i < d.array_count; ++i) copy_into(loan.data(i), loan.frame().arrays[i], arrays[i]);
    if (!pixel_format.is_none()) loan.set_pixel_format(text_view(pixel_format));
    loan.set_timestamps(moment_ns(timestamp_ns, "timestamp_ns"), moment_ns(wall_time_ns, "wall_time_ns"));
    return commit(loan, text);
  }

  PyLoan loan(const nb::list& specs, nb::handle timeout) {
    Descriptor d;
    framebus::detail::check_array_count(nb::len(specs));
    for (const nb::handle each : specs) {
      const auto spec = nb::borrow<nb::tuple>(each);
      const nb::object name = spec[0], shape = spec[1], dtype = spec[2];
      describe_spec(name, shape, dtype, d.arrays[d.array_count++]);
    }
    d.meta_offset = framebus::detail::plan_arrays(d);
    return PyLoan(claim(d, 0, timeout_ns(timeout)));
  }

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

  Loan claim(const Descriptor& d, std::uint64_t meta_bytes, std::int64_t timeout) {
    if (auto loan = publisher_.try_loan(d, meta_bytes)) return std::move(*loan);
    const LongCall call;
    return publisher_.loan(d, meta_bytes, framebus::Timeout::from_ns(timeout), check_signals);
  }

  Publisher publisher_;
};

PyTypeObject* publisher_type = nullptr;  // until the end of the interpreter

// send(image), send(image, timeout=): an ndarray and no other argument.
PyObject* quick_send(PyObject* native, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* timeout = Py_None;
  if (count != 1 || !PyArray_CheckExact(args[0]) || !Py_IS_TYPE(native, publisher_type)) return nullptr;
  if (!only_timeout(args, count, names, timeout)) return nullptr;
  try {
    const nb::handle none = Py_None;
    auto& publisher = *nb::inst_ptr<PyPublisher>(native);
    return PyLong_FromUnsignedLongLong(publisher.send(args[0], none, none, timeout, none, none));
  } catch (...) {
    return raise_current();
  }
}

}  // namespace

void bind_publisher(nb::module_& m) {
  nb::class_<Memory>(m, "Memory", "Owns a loan's slot for the arrays made from it.");
  nb::class_<PyLoan>(m, "Loan", "A slot that the publisher fills in place.")
      .def("array", &PyLoan::array, nb::arg("index"),
           nb::sig("def array(self, index: int) -> numpy.typing.NDArray[typing.Any]"),
           "The writable array of that index.")
      .def("names", &PyLoan::names, nb::sig("def names(self) -> tuple[str, ...]"), "The names of the arrays, in order.")
      .def("kept", &PyLoan::kept, nb::sig("def kept(self) -> list[tuple[numpy.typing.NDArray[typing.Any], int]]"),
           "The arrays that other objects refer to, each with the number of references.")
      .def("commit", &PyLoan::commit, nb::arg("meta").none(), nb::arg("pixel_format").none(), nb::arg("escaped"),
           nb::sig("def commit(self, meta: bytes | None, pixel_format: str | None, escaped: bool) -> int"),
           "Sends the frame; returns its sequence number.")
      .def("drop", &PyLoan::drop, nb::arg("escaped"), "Returns the slot; the frame is never visible.");
  nb::class_<PyPublisher>(m, "Publisher", "The sending side of a channel.")
      .def(nb::init<const std::string&, std::uint32_t, std::uint64_t, std::uint32_t, const std::string&>(),
           nb::arg("name"), nb::arg("slots"), nb::arg("max_bytes"), nb::arg("mode"), nb::arg("on_full"))
      .def("send", &PyPublisher::send, nb::arg("frame"), nb::arg("meta").none(), nb::arg("pixel_format").none(),
           nb::arg("timeout").none(), nb::arg("timestamp_ns").none(), nb::arg("wall_time_ns").none(),
           nb::sig("def send(self, frame: object, meta: bytes | None, pixel_format: str | None, timeout: float | None, "
                   "timestamp_ns: int | None, wall_time_ns: int | None) -> int"),
           "Copies arrays into a slot and publishes it.")
      .def("loan", &PyPublisher::loan, nb::arg("specs"), nb::arg("timeout").none(),
           nb::sig("def loan(self, specs: list[tuple[str, typing.Any, typing.Any]], timeout: float | None) -> Loan"),
           "A slot for (name, shape, dtype) arrays.")
      .def("close", &PyPublisher::close, "Ends the channel for its subscribers.")
      .def("is_closed", &PyPublisher::is_closed, "Whether close() was called.")
      .def("statistics", &PyPublisher::statistics, nb::sig("def statistics(self) -> dict[str, typing.Any]"),
           "Counts and measurements, see framebus.Statistics.");
  publisher_type = reinterpret_cast<PyTypeObject*>(nb::type<PyPublisher>().inc_ref().ptr());
  bind_shortcut(m, "quick_send", quick_send);
  m.def("check_arrays", check_arrays, nb::arg("frame"), "Refuses an array, or a dict of them, as send() does.");
}

}  // namespace framebus_python
