// SPDX-License-Identifier: Apache-2.0
// A minimal future for one asyncio task that waits for a frame; see src/framebus/channel/aio.py.
//
// Promise: it has the part of a future that tasks use: what asyncio.isfuture() requires, a callback, result, cancel.
// Unlike a future it resumes its task within wake(), not in a later round of the loop. It is native because a task that
// has slept finds its caches cold, and each Python frame on the way back to it then costs some microseconds.
#include <nanobind/nanobind.h>

#include <cstdint>
#include <utility>

#include "call_python.hpp"

namespace framebus_python {

namespace nb = nanobind;

namespace {

class Wakeup {
 public:
  Wakeup(nb::object loop, std::int64_t its_turn, double its_end)
      : turn(its_turn), end(its_end), loop_(std::move(loop)) {}

  // Resumes the task now; called by the loop, not by another task.
  static void wake(nb::handle_t<Wakeup> self) {
    Wakeup& wakeup = *nb::inst_ptr<Wakeup>(self);
    if (std::exchange(wakeup.done_, true)) return;
    const nb::object callback = std::move(wakeup.callback_), context = std::move(wakeup.context_);
    if (!callback.is_valid()) return;
    if (PyContext_Enter(context.ptr()) != 0) throw nb::python_error();
    try {
      call_python(callback, self);
    } catch (...) {
      PyContext_Exit(context.ptr());
      throw;
    }
    if (PyContext_Exit(context.ptr()) != 0) throw nb::python_error();
  }

  [[nodiscard]] nb::object loop() const { return loop_; }
  void add_done_callback(nb::object callback, nb::object context) {
    callback_ = std::move(callback);
    context_ = std::move(context);
  }
  // The task is resumed in the next round of the loop, as with every future.
  static bool cancel(nb::handle_t<Wakeup> self, nb::object message) {
    Wakeup& wakeup = *nb::inst_ptr<Wakeup>(self);
    if (std::exchange(wakeup.done_, true)) return false;
    wakeup.cancelled_ = true;
    if (!message.is_none()) wakeup.message_ = std::move(message);
    const nb::object callback = std::move(wakeup.callback_);
    if (!callback.is_valid()) return true;
    static PyObject* const kCallSoon = PyUnicode_InternFromString("call_soon");
    static PyObject* const kContext = Py_BuildValue("(s)", "context");
    PyObject* const values[] = {wakeup.loop_.ptr(), callback.ptr(), self.ptr(), wakeup.context_.ptr()};
    object_from_python([&] { return PyObject_VectorcallMethod(kCallSoon, values, 3, kContext); });
    return true;
  }
  void result() const {
    if (!cancelled_) return;
    const nb::object type = nb::module_::import_("asyncio").attr("CancelledError");
    const nb::object error = message_.is_valid() ? type(message_) : type();
    PyErr_SetObject(type.ptr(), error.ptr());
    throw nb::python_error();
  }

  // The iteration of `await`: yields itself to the task once, and ends when it is called again.
  static PyObject* next(PyObject* self) noexcept {
    Wakeup& wakeup = *nb::inst_ptr<Wakeup>(self);
    if (!wakeup.done_) {
      wakeup.blocking = true;
      return Py_NewRef(self);
    }
    try {
      wakeup.result();
    } catch (nb::python_error& error) {
      error.restore();
    }
    return nullptr;
  }

  int traverse(visitproc visit, void* arg) {
    for (const nb::object* object : {&loop_, &callback_, &context_, &message_}) Py_VISIT(object->ptr());
    return 0;
  }
  void clear() {
    const nb::object loop = std::move(loop_), callback = std::move(callback_), context = std::move(context_),
                     message = std::move(message_);
  }

  std::int64_t turn;      // its position among the waiting tasks of one loop
  double end;             // deadline, by time.monotonic()
  bool blocking = false;  // it was awaited, and the task has not processed that yet

 private:
  nb::object loop_, callback_, context_, message_;
  bool done_ = false, cancelled_ = false;
};

int traverse_wakeup(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return nb::inst_ready(self) ? nb::inst_ptr<Wakeup>(self)->traverse(visit, arg) : 0;
}
int clear_wakeup(PyObject* self) {
  if (nb::inst_ready(self)) nb::inst_ptr<Wakeup>(self)->clear();
  return 0;
}
// Called by a loop when there may be a frame. Nearly always one task waits; `otherwise` handles all other cases.
void wake_one(const nb::list& waiting, const nb::callable& otherwise) {
  if (waiting.size() != 1 || !nb::isinstance<Wakeup>(waiting[0])) {
    call_python(otherwise);
    return;
  }
  const nb::object wakeup = waiting[0];
  if (PyList_SetSlice(waiting.ptr(), 0, 1, nullptr) != 0)
    throw nb::python_error();  // before the task is resumed, since it may wait again
  Wakeup::wake(nb::handle_t<Wakeup>(wakeup));
}

PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(traverse_wakeup)},
                       {Py_tp_clear, reinterpret_cast<void*>(clear_wakeup)},
                       {Py_am_await, reinterpret_cast<void*>(PyObject_SelfIter)},
                       {Py_tp_iternext, reinterpret_cast<void*>(Wakeup::next)},
                       {0, nullptr}};

}  // namespace

void bind_wakeup(nb::module_& m) {
  nb::class_<Wakeup>(m, "Wakeup", nb::type_slots(slots),
                     "A minimal future for one waiting task; it resumes the task inside the loop's callback.\n\n"
                     "After wake(), result() is None; after cancel(), it raises asyncio.CancelledError.")
      .def(nb::init<nb::object, std::int64_t, double>(), nb::arg("loop"), nb::arg("turn"), nb::arg("end"),
           nb::sig("def __init__(self, loop: asyncio.AbstractEventLoop, turn: int, end: float) -> None"))
      .def_ro("turn", &Wakeup::turn, "Its position among the waiting tasks of one loop.")
      .def_ro("end", &Wakeup::end, "Its deadline, by time.monotonic(); inf for none.")
      .def_rw("_asyncio_future_blocking", &Wakeup::blocking)
      .def("wake", &Wakeup::wake, "Resumes the task now; called by the loop, not by another task.")
      .def("get_loop", &Wakeup::loop, nb::sig("def get_loop(self) -> asyncio.AbstractEventLoop"),
           "The loop of the task.")
      .def("add_done_callback", &Wakeup::add_done_callback, nb::arg("callback"), nb::kw_only(), nb::arg("context"),
           nb::sig("def add_done_callback(self, callback: collections.abc.Callable[[Wakeup], object], *, context: "
                   "contextvars.Context) -> None"),
           "Sets the callback that resumes the task.")
      .def("cancel", &Wakeup::cancel, nb::arg("msg") = nb::none(),
           nb::sig("def cancel(self, msg: object = None) -> bool"),
           "Cancels the task, which is resumed in the next round of the loop, as with every future.")
      .def("result", &Wakeup::result, "Returns None, or raises asyncio.CancelledError.");
  m.def("wake_one", &wake_one, nb::arg("waiting"), nb::arg("otherwise"),
        nb::sig("def wake_one(waiting: list[Wakeup], otherwise: collections.abc.Callable[[], object]) -> None"),
        "Removes the only Wakeup from the list and wakes it; if there are none or several, calls `otherwise`.");
}

}  // namespace framebus_python
