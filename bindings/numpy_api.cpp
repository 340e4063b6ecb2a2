// SPDX-License-Identifier: Apache-2.0
// Conversion between numpy arrays and framebus descriptions, and the errors for dtypes that a frame can't carry.
#include "numpy_api.hpp"

#include <nanobind/stl/string.h>

#include <string>

#include "call_python.hpp"
#include "long_call.hpp"

namespace framebus_python {

using framebus::detail::ArrayInfo;
using framebus::detail::ElementType;

ElementType element_type_of(PyArray_Descr* descr, const std::string& name) {
  const auto bytes = static_cast<std::uint32_t>(PyDataType_ELSIZE(descr));
  const char order = bytes == 1 ? '|' : descr->byteorder == '=' ? NPY_NATBYTE : descr->byteorder;
  const ElementType type{static_cast<std::uint8_t>(descr->kind), static_cast<std::uint8_t>(order), bytes};
  if (framebus::detail::is_valid(type)) return type;
  const std::string dtype = nb::str(nb::handle(reinterpret_cast<PyObject*>(descr))).c_str();
  const char* remedy = "convert it to a numeric dtype";
  switch (descr->kind) {
    case 'O':
      remedy = "send numeric arrays, one per name in a dict, and put other objects into meta= as JSON";
      break;
    case 'S':
    case 'U':
    case 'T':
      remedy = "put text into meta=, or send its bytes: numpy.frombuffer(text.encode(), 'uint8')";
      break;
    case 'M':
    case 'm':
      remedy = "send array.view('int64') and put the unit into meta=";
      break;
    case 'V':
      remedy = PyDataType_HASFIELDS(descr)
                   ? "send each field as an array of its own: {name: array[name] for name in array.dtype.names}"
                   : "send its bytes: array.view('uint8')";
      break;
    default:
      break;
  }
  throw nb::type_error(("array '" + name + "' has dtype " + dtype +
                        "; a frame carries bool, integer, float and complex arrays; " + remedy)
                           .c_str());
}

namespace {

int numpy_type(const ElementType& type) {
  const auto kind = static_cast<char>(type.kind);
  if (kind == 'b') return NPY_BOOL;
  if (kind == 'i')
    return type.bytes == 1 ? NPY_INT8 : type.bytes == 2 ? NPY_INT16 : type.bytes == 4 ? NPY_INT32 : NPY_INT64;
  if (kind == 'u')
    return type.bytes == 1 ? NPY_UINT8 : type.bytes == 2 ? NPY_UINT16 : type.bytes == 4 ? NPY_UINT32 : NPY_UINT64;
  if (kind == 'f')
    return type.bytes == 2 ? NPY_HALF : type.bytes == 4 ? NPY_FLOAT : type.bytes == 8 ? NPY_DOUBLE : NPY_LONGDOUBLE;
  return type.bytes == 8 ? NPY_CFLOAT : type.bytes == 16 ? NPY_CDOUBLE : NPY_CLONGDOUBLE;
}

PyArray_Descr* numpy_descr(const ElementType& type) {
  PyArray_Descr* descr = PyArray_DescrFromType(numpy_type(type));
  if (descr == nullptr) throw nb::python_error();
  if (static_cast<std::uint32_t>(PyDataType_ELSIZE(descr)) != type.bytes) {
    Py_DECREF(descr);
    throw nb::type_error("this numpy has no element type of that size");
  }
  if (type.order == '|' || type.order == NPY_NATBYTE) return descr;
  PyArray_Descr* swapped = PyArray_DescrNewByteorder(descr, NPY_SWAP);
  Py_DECREF(descr);
  if (swapped == nullptr) throw nb::python_error();
  return swapped;
}

}  // namespace

std::string array_name(nb::handle name) {
  Py_ssize_t size = 0;
  if (const char* chars = PyUnicode_AsUTF8AndSize(name.ptr(), &size)) return {chars, static_cast<std::size_t>(size)};
  if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError) == 0) throw nb::python_error();  // a TypeError: not a str
  PyErr_Clear();
  const nb::object shown = nb::steal(PyObject_ASCII(name.ptr()));
  if (!shown.is_valid()) throw nb::python_error();
  framebus::detail::refuse_name(nb::cast<std::string>(shown) +
                                ", which has a lone surrogate; decode the text with errors='replace'");
}

void describe_array(PyArrayObject* array, const std::string& name, ArrayInfo& info) {
  framebus::detail::set_name(info, name);
  info.type = element_type_of(PyArray_DESCR(array), name);
  framebus::detail::set_shape(info, PyArray_DIMS(array), static_cast<std::size_t>(PyArray_NDIM(array)));
}

void describe_spec(nb::handle name, nb::handle shape, nb::handle dtype, ArrayInfo& info) {
  const std::string text = array_name(name);
  framebus::detail::set_name(info, text);
  PyArray_Descr* descr = nullptr;
  const auto converted = [&] { return PyArray_DescrConverter(dtype.ptr(), &descr); };
  if (run_python(converted) != NPY_SUCCEED) throw nb::python_error();
  const nb::object keep = nb::steal(reinterpret_cast<PyObject*>(descr));
  info.type = element_type_of(descr, text);
  PyArray_Dims dims{};
  if (run_python([&] { return PyArray_IntpConverter(shape.ptr(), &dims); }) != NPY_SUCCEED) throw nb::python_error();
  try {
    framebus::detail::set_shape(info, dims.ptr, static_cast<std::size_t>(dims.len));
  } catch (...) {
    PyDimMem_FREE(dims.ptr);
    throw;
  }
  PyDimMem_FREE(dims.ptr);
}

nb::object array_over(const ArrayInfo& info, void* data, nb::handle owner, bool writable) {
  npy_intp shape[framebus::detail::kMaxDims];
  for (std::uint32_t i = 0; i < info.ndim; ++i) shape[i] = static_cast<npy_intp>(info.shape[i]);
  const int flags = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED | (writable ? NPY_ARRAY_WRITEABLE : 0);
  PyObject* array = PyArray_NewFromDescr(&PyArray_Type, numpy_descr(info.type), static_cast<int>(info.ndim), shape,
                                         nullptr, data, flags, nullptr);
  if (array == nullptr) throw nb::python_error();
  nb::object result = nb::steal(array);
  if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(array), owner.inc_ref().ptr()) != 0)
    throw nb::python_error();
  return result;
}

void copy_into(void* data, const ArrayInfo& info, PyArrayObject* array, framebus::detail::Target target) {
  framebus::detail::StridedArray from;
  from.data = static_cast<const std::byte*>(PyArray_DATA(array));
  from.item = info.type.bytes;
  from.ndim = info.ndim;
  for (std::uint32_t i = 0; i < info.ndim; ++i) {
    from.shape[i] = info.shape[i];
    from.strides[i] = PyArray_STRIDE(array, static_cast<int>(i));
  }
  auto* to = static_cast<std::byte*>(data);
  if (info.bytes <= kLongCopy) return framebus::detail::copy_strided(to, from, target);
  const LongCall call;
  framebus::detail::copy_strided(to, from, target);
}

}  // namespace framebus_python
