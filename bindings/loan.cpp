// SPDX-License-Identifier: Apache-2.0
// The native half of framebus.Loan; its subclass in src/framebus/channel/loan.py is the other half.
//
// Promise: what was sent never changes, whatever the program keeps of a loan's arrays.
//
// Memory owns a loan's slot. There are two objects for each of its arrays: a base over the memory, which no user gets,
// and a view of it, which the user gets. At the end of the block two questions tell whether something can still write:
//
//   Does the base have more references than ours? numpy bases every array that is derived from the view on the base.
//   Does the view have more references than ours and the variables of the function with the block? Buffers, DLPack
//   capsules and containers refer to the view itself, as variables do. Variables are harmless, since the view becomes
//   read-only. They are looked at only where there is a reference at all.
//
// If something can, a copy is published and the slot stays with it (docs/design.md).
#include "loan.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "call_python.hpp"
#include "convert.hpp"
#include "native_method.hpp"
#include "numpy_api.hpp"

namespace framebus_python {

namespace {

using framebus::Loan;

nb::handle loan_class;    // framebus.Loan; until the end of the interpreter, as the next two
nb::handle memory_class;  // of Memory
nb::handle encode;        // encode(meta, pixel_format): checks both, and returns the metadata as bytes

class LoanBase {
 public:
  LoanBase(Loan&& loan, std::shared_ptr<Lending> lending, nb::handle with_meta, nb::handle with_format)
      : meta(nb::borrow(with_meta)),
        pixel_format(nb::borrow(with_format)),
        loan_(std::make_shared<Loan>(std::move(loan))),
        lending_(std::move(lending)) {}

  nb::object meta, pixel_format;
  nb::object seq = nb::none();

  nb::object array(std::uint32_t i) {
    if (!open_) {
      framebus::detail::fail(
          framebus::Errc::loan_ended,
          "this loan has ended: its frame was sent or dropped; use the array inside the with block, or "
          "copy() it there");
    }
    if (!arrays_[i].is_valid()) arrays_[i] = lend(loan_->frame().arrays[i], loan_->data(i));
    return arrays_[i].view;
  }

  nb::dict arrays() {
    nb::dict all;
    for (std::uint32_t i = 0; i < loan_->frame().array_count; ++i) {
      const std::string_view name = loan_->frame().arrays[i].name();
      all[nb::str(name.data(), name.size())] = array(i);
    }
    return all;
  }

  void send() {
    const bool copy = end();
    nb::object bytes = nb::none();
    if (!meta.is_none() || !pixel_format.is_none()) {
      const nb::object json = meta, format = pixel_format;
      try {
        bytes = call_python(encode, json, format);
        loan_->set_pixel_format(text_view(format));
      } catch (...) {
        give_back(copy);
        throw;
      }
    }
    seq = nb::int_(commit(bytes_view(bytes), copy));
    lending_->first_frame.sent();
  }

  void rehearse() {
    static_cast<void>(array(0));
    if (!end()) static_cast<void>(loan_->try_commit());
  }

  void drop() {
    if (open_) give_back(end());
  }

  int traverse(visitproc visit, void* arg) {
    Py_VISIT(meta.ptr());
    Py_VISIT(pixel_format.ptr());
    return 0;
  }
  void clear() { meta = pixel_format = nb::none(); }

 private:
  LentArray lend(const framebus::detail::ArrayInfo& info, void* data) {
    LentArray lent = lending_->kept.take(info, data);
    if (lent.is_valid()) {
      nb::inst_ptr<Memory>(lent.memory)->loan = loan_;
      lent.set_writable(true);
      return lent;
    }
    lent.memory = nb::inst_alloc(memory_class);
    new (nb::inst_ptr<Memory>(lent.memory)) Memory{loan_};
    nb::inst_mark_ready(lent.memory);
    lent.base = array_over(info, data, lent.memory, true);
    lent.view = array_over(info, data, lent.base, true);
    lent.descr =
        nb::borrow(reinterpret_cast<PyObject*>(PyArray_DESCR(reinterpret_cast<PyArrayObject*>(lent.view.ptr()))));
    return lent;
  }

  std::uint64_t commit(std::string_view bytes, bool copy) {
    if (!copy) return commit_quickly(*loan_, bytes);
    const LongCall call;
    return loan_->commit_copy(bytes, check_signals);
  }
  void give_back(bool still_written) {
    if (!still_written) loan_->drop();
  }

  // Makes the user's arrays read-only; true if something can still write.
  bool end() {
    bool escaped = open_ && have_escaped();  // which may run Python code that ends this loan
    if (!open_) framebus::detail::fail(framebus::Errc::loan_ended, "this loan has ended already");
    open_ = false;
    for (std::uint32_t i = 0; i < loan_->frame().array_count; ++i) {
      if (!arrays_[i].is_valid()) continue;
      LentArray ended = std::move(arrays_[i]);
      ended.set_writable(false);
      // More references than those of `ended` itself and of its view?
      if (!ended.is_whole() || Py_REFCNT(ended.base.ptr()) > 2) {
        escaped = true;
      } else {
        lending_->kept.keep(loan_->frame().arrays[i], std::move(ended));
      }
    }
    return escaped;
  }

  // Does an array have more references than the variables of the calling function account for?
  [[nodiscard]] bool have_escaped() const {
    std::array<Py_ssize_t, framebus::detail::kMaxArrays> others{};
    bool any = false;
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      if (arrays_[i].is_valid()) others[i] = Py_REFCNT(arrays_[i].view.ptr()) - 1;
      any = any || others[i] > 0;
    }
    if (!any) return false;
    PyFrameObject* frame = PyEval_GetFrame();
    if (frame == nullptr) return true;
    const nb::object variables =
        object_from_python([&] { return PyObject_GetAttrString(reinterpret_cast<PyObject*>(frame), "f_locals"); });
    if (PyDict_CheckExact(variables.ptr()) == 0 && !is_function(frame)) return true;  // a mapping given to exec()
    const nb::object values = object_from_python([&] { return PyMapping_Values(variables.ptr()); });
    for (const nb::handle value : values) {
      for (std::size_t i = 0; i < arrays_.size(); ++i) others[i] -= value.ptr() == arrays_[i].view.ptr() ? 1 : 0;
    }
    if (PyDict_CheckExact(variables.ptr()) != 0 && is_function(frame)) {
      PyDict_Clear(variables.ptr());  // Python before 3.13 would keep this snapshot, and with it all it refers to
    }
    return std::any_of(others.begin(), others.end(), [](Py_ssize_t left) { return left > 0; });
  }
  static bool is_function(PyFrameObject* frame) {
    const nb::object code = nb::steal(reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)));
    return (reinterpret_cast<PyCodeObject*>(code.ptr())->co_flags & CO_OPTIMIZED) != 0;
  }

  std::shared_ptr<Loan> loan_;
  std::shared_ptr<Lending> lending_;
  std::array<LentArray, framebus::detail::kMaxArrays> arrays_;  // made when they are first asked for
  bool open_ = true;
};

LoanBase& loan_of(PyObject* self) { return object_of<LoanBase>(self); }

nb::object enter(PyObject* self) { return nb::borrow(self); }

// __exit__(kind, error, traceback)
nb::object exit(PyObject* self, const Arguments& given) {
  if (given.count != 3 || given.names != nullptr) {
    throw nb::type_error("Loan.__exit__() takes 3 positional arguments, as a with statement passes them");
  }
  LoanBase& loan = loan_of(self);
  given.values[0] == Py_None ? loan.send() : loan.drop();
  return nb::none();
}

nb::object array_of(PyObject* self) { return loan_of(self).array(0); }

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return nb::inst_ready(self) ? nb::inst_ptr<LoanBase>(self)->traverse(visit, arg) : 0;
}
int clear(PyObject* self) {
  if (nb::inst_ready(self)) nb::inst_ptr<LoanBase>(self)->clear();
  return 0;
}

PyMethodDef methods[] = {method_without_arguments<enter>("__enter__", "__enter__($self, /)\n--\n\nReturns the loan."),
                         method_with_arguments<exit>("__exit__",
                                                     "__exit__($self, kind, error, traceback, /)\n--\n\n"
                                                     "Sends the frame, or drops it if the block raises."),
                         {nullptr, nullptr, 0, nullptr}};
PyGetSetDef properties[] = {
    {"array", [](PyObject* self, void*) { return without_arguments<array_of>(self); }, nullptr,
     "The first array: shared memory, writable until the end of the block, C order, 64-byte aligned.\n\n"
     "Raises LoanEnded after the block. An array that was kept can't be written any more.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot slots[] = {{Py_tp_methods, static_cast<void*>(methods)},
                       {Py_tp_getset, static_cast<void*>(properties)},
                       {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                       {Py_tp_clear, reinterpret_cast<void*>(clear)},
                       {0, nullptr}};

}  // namespace

nb::object python_loan(Loan&& loan, std::shared_ptr<Lending> lending, nb::handle meta, nb::handle pixel_format) {
  nb::object object = nb::inst_alloc(loan_class);
  new (nb::inst_ptr<LoanBase>(object)) LoanBase(std::move(loan), std::move(lending), meta, pixel_format);
  nb::inst_mark_ready(object);
  return object;
}

void rehearse(const nb::object& loan) { loan_of(loan.ptr()).rehearse(); }

void bind_loan(nb::module_& m) {
  memory_class = nb::class_<Memory>(m, "Memory", "Owns a loan's slot for the arrays made from it.").inc_ref();
  nb::class_<LoanBase>(m, "LoanBase", nb::type_slots(slots), "The native half of framebus.Loan.")
      .def_prop_ro("arrays", &LoanBase::arrays,
                   nb::for_getter(nb::sig("def arrays(self) -> dict[str, numpy.typing.NDArray[typing.Any]]")),
                   "All arrays by name. Raises LoanEnded after the block.")
      .def_rw("meta", &LoanBase::meta, nb::for_getter(nb::sig("def meta(self) -> object")),
              nb::for_setter(nb::sig("def meta(self, meta: object, /) -> None")),
              "Metadata to send with the frame, or None; may be set inside the block.")
      .def_rw("pixel_format", &LoanBase::pixel_format, nb::for_getter(nb::sig("def pixel_format(self) -> str | None")),
              nb::for_setter(nb::sig("def pixel_format(self, name: str | None, /) -> None")),
              "PFNC name to send with the frame, or None; may be set inside the block.")
      .def_ro("seq", &LoanBase::seq, nb::for_getter(nb::sig("def seq(self) -> int | None")),
              "The frame's sequence number once it was sent, None before.");
  m.attr("LoanT") = nb::module_::import_("typing").attr("TypeVar")("LoanT", nb::arg("bound") = m.attr("LoanBase"));
  m.def(
      "set_loan_class",
      [](nb::handle type, nb::handle function) {
        loan_class = type.inc_ref();
        encode = function.inc_ref();
      },
      nb::arg("type"), nb::arg("encode"),
      nb::sig("def set_loan_class(type: type[LoanBase], encode: collections.abc.Callable[[typing.Any, str | None], "
              "bytes | None]) -> None"),
      "Sets the class of loans, a subclass of LoanBase, and what checks and encodes metadata and pixel format.");
}

}  // namespace framebus_python
