// SPDX-License-Identifier: Apache-2.0
// The type behind shortcut.hpp. Like a function it becomes a method of the instance, without an object for that
// (METHOD_DESCRIPTOR), and is called without a tuple of arguments (VECTORCALL).
#include "shortcut.hpp"

#include <structmember.h>

#include <cstddef>
#include <exception>
#include <utility>

namespace framebus_python {

namespace {

struct Shortcut {
  PyObject head;
  vectorcallfunc call;
  PyObject* method;
  PyTypeObject* owner;  // the class of the method; not subclasses, which may have overridden methods
  Py_ssize_t slot;      // the offset of `_native` in an instance
  Quick quick;
};

Shortcut* as_shortcut(PyObject* self) { return reinterpret_cast<Shortcut*>(self); }

PyObject* call(PyObject* self, PyObject* const* args, std::size_t count_and_flag, PyObject* names) {
  const Shortcut* shortcut = as_shortcut(self);
  const Py_ssize_t count = PyVectorcall_NARGS(count_and_flag);
  if (count > 0 && Py_TYPE(args[0]) == shortcut->owner) {
    auto* const place = reinterpret_cast<std::byte*>(args[0]) + shortcut->slot;
    // A reference, since another thread may replace the object meanwhile.
    const nb::object native = nb::borrow(*reinterpret_cast<PyObject**>(place));
    PyObject* result = native.is_valid() ? shortcut->quick(native.ptr(), args + 1, count - 1, names) : nullptr;
    if (result != nullptr || PyErr_Occurred() != nullptr) return result;
  }
  return PyObject_Vectorcall(shortcut->method, args, count_and_flag, names);
}

PyObject* get(PyObject* self, PyObject* instance, PyObject* /*type*/) {
  if (instance == nullptr || instance == Py_None) return Py_NewRef(self);
  return PyMethod_New(self, instance);
}

PyObject* set_name(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 2 || !PyType_Check(args[0])) {
    PyErr_SetString(PyExc_TypeError, "a shortcut is for a method of a class");
    return nullptr;
  }
  if (as_shortcut(self)->owner != nullptr) Py_RETURN_NONE;  // another class has it already, under any name
  const nb::object slot = nb::steal(PyObject_GetAttrString(args[0], "_native"));
  if (!slot.is_valid()) return nullptr;
  if (!Py_IS_TYPE(slot.ptr(), &PyMemberDescr_Type)) {
    PyErr_SetString(PyExc_TypeError, "a shortcut needs a class whose _native is a slot");
    return nullptr;
  }
  as_shortcut(self)->slot = reinterpret_cast<PyMemberDescrObject*>(slot.ptr())->d_member->offset;
  as_shortcut(self)->owner = reinterpret_cast<PyTypeObject*>(Py_NewRef(args[0]));
  Py_RETURN_NONE;
}

PyObject* reduce(PyObject* self, PyObject* /*unused*/) {
  return PyObject_GetAttrString(as_shortcut(self)->method, "__qualname__");
}

PyObject* of_method(PyObject* self, void* name) {
  return PyObject_GetAttrString(as_shortcut(self)->method, static_cast<const char*>(name));
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as_shortcut(self)->method);
  Py_VISIT(as_shortcut(self)->owner);
  return 0;
}
int clear(PyObject* self) {
  Py_CLEAR(as_shortcut(self)->owner);  // breaks every reference cycle; the method can still be called
  return 0;
}
void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  clear(self);
  Py_CLEAR(as_shortcut(self)->method);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {{"__set_name__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(set_name)),
                          METH_FASTCALL, "Called when the class has been made."},
                         {"__reduce__", reduce, METH_NOARGS, "By name, as functions; so it is copied, too."},
                         {nullptr, nullptr, 0, nullptr}};
PyMemberDef members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(Shortcut, call), READONLY, nullptr},
                         {"__wrapped__", T_OBJECT_EX, offsetof(Shortcut, method), READONLY, nullptr},
                         {nullptr, 0, 0, 0, nullptr}};
char doc[] = "__doc__", name[] = "__name__", qualname[] = "__qualname__", module[] = "__module__",
     annotations[] = "__annotations__";
PyGetSetDef getset[] = {{"__doc__", of_method, nullptr, nullptr, doc},
                        {"__name__", of_method, nullptr, nullptr, name},
                        {"__qualname__", of_method, nullptr, nullptr, qualname},
                        {"__module__", of_method, nullptr, nullptr, module},
                        {"__annotations__", of_method, nullptr, nullptr, annotations},
                        {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                       {Py_tp_descr_get, reinterpret_cast<void*>(get)},
                       {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                       {Py_tp_clear, reinterpret_cast<void*>(clear)},
                       {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
                       {Py_tp_methods, methods},
                       {Py_tp_members, members},
                       {Py_tp_getset, getset},
                       {0, nullptr}};
PyType_Spec spec = {"framebus._core.Shortcut", sizeof(Shortcut), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                        Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    slots};

nb::object shortcut_for(nb::handle method, Quick quick) {
  static PyObject* const type = PyType_FromSpec(&spec);  // until the end of the interpreter
  if (type == nullptr) throw nb::python_error();
  if (PyCallable_Check(method.ptr()) == 0) throw nb::type_error("a shortcut is for a method");
  nb::object made = nb::steal(PyType_GenericAlloc(reinterpret_cast<PyTypeObject*>(type), 0));
  if (!made.is_valid()) throw nb::python_error();
  Shortcut* shortcut = as_shortcut(made.ptr());
  shortcut->call = call;
  shortcut->method = Py_NewRef(method.ptr());
  shortcut->quick = quick;
  return made;
}

thread_local std::exception_ptr current;
PyObject* raise = nullptr;  // until the end of the interpreter; nanobind translates exceptions in bound functions only

}  // namespace

PyObject* raise_current() noexcept {
  current = std::current_exception();
  return PyObject_CallNoArgs(raise);
}

void bind_shortcut(nb::module_& m, const char* name_of_it, Quick quick) {
  if (raise == nullptr) {
    raise = nb::cpp_function([] { std::rethrow_exception(std::exchange(current, nullptr)); }).release().ptr();
  }
  m.def(
      name_of_it, [quick](nb::handle method) { return shortcut_for(method, quick); }, nb::arg("method"),
      "A decorator; see bindings/shortcut.hpp.");
}

}  // namespace framebus_python
