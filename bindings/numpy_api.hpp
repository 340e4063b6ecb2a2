// SPDX-License-Identifier: Apache-2.0
// numpy's C interface, and the conversions between its arrays and framebus's descriptions.
//
// Promise: arrays over shared memory keep the object that owns the memory alive and are C-ordered and aligned; only
// copy_into() copies.
#pragma once

#include <nanobind/nanobind.h>

#define PY_ARRAY_UNIQUE_SYMBOL framebus_numpy_api
#ifndef FRAMEBUS_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#include <framebus/framebus.hpp>

namespace framebus_python {

namespace nb = nanobind;

// The element type of an array. A dtype that a frame can't carry raises TypeError, which says what to send instead.
framebus::detail::ElementType element_type_of(PyArray_Descr* descr, const std::string& name);

// The name of an array as UTF-8; ValueError if it has lone surrogates.
std::string array_name(nb::handle name);

// Sets name, type and shape of one array.
void describe_array(PyArrayObject* array, const std::string& name, framebus::detail::ArrayInfo& info);

// Sets name, type and shape; ValueError for a bad name or shape.
void describe_spec(nb::handle name, nb::handle shape, nb::handle dtype, framebus::detail::ArrayInfo& info);

// An array over `data`, kept alive by `owner`.
nb::object array_over(const framebus::detail::ArrayInfo& info, void* data, nb::handle owner, bool writable);

// Copies an array of any strides to C order at `data`; releases the GIL for long copies.
void copy_into(void* data, const framebus::detail::ArrayInfo& info, PyArrayObject* array,
               framebus::detail::Target target);

inline constexpr std::uint64_t kLongCopy = 64 << 10;  // bytes; longer copies release the GIL

}  // namespace framebus_python
