// SPDX-License-Identifier: Apache-2.0
// A publisher's table of the numpy arrays of ended loans, which later loans of the same slot use again. Making the two
// arrays of a loan and the owner of their memory takes a fifth of its time in a loop.
//
// Promise: an array is used again only if nothing outside this table refers to it and the program has not changed its
// type, shape, strides or owner. An array in this table does not keep the channel's memory mapped.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <utility>

#include "numpy_api.hpp"

namespace framebus_python {

// Owns a loan's slot for the arrays made from it.
struct Memory {
  std::shared_ptr<framebus::Loan> loan;
};

// An array for the user, the array that it is a view of, and the owner of the memory, which the latter has as its base.
struct LentArray {
  nb::object memory, base, view;
  nb::object descr;  // that both arrays were made with

  [[nodiscard]] bool is_valid() const noexcept { return view.is_valid(); }
  // Whether each still keeps the next one alive; a program can take them apart (ndarray.__setstate__).
  [[nodiscard]] bool is_whole() const noexcept {
    return PyArray_BASE(reinterpret_cast<PyArrayObject*>(view.ptr())) == base.ptr() &&
           PyArray_BASE(reinterpret_cast<PyArrayObject*>(base.ptr())) == memory.ptr();
  }
  // Whether anything else than this refers to the arrays.
  [[nodiscard]] bool is_shared() const noexcept {
    return Py_REFCNT(view.ptr()) != 1 || Py_REFCNT(base.ptr()) != 2 || Py_REFCNT(memory.ptr()) != 2 ||
           *PyObject_GET_WEAKREFS_LISTPTR(view.ptr()) != nullptr ||
           *PyObject_GET_WEAKREFS_LISTPTR(base.ptr()) != nullptr;
  }
  void set_writable(bool writable) const noexcept {
    for (const nb::object* object : {&view, &base}) {
      auto* array = reinterpret_cast<PyArrayObject*>(object->ptr());
      writable ? PyArray_ENABLEFLAGS(array, NPY_ARRAY_WRITEABLE) : PyArray_CLEARFLAGS(array, NPY_ARRAY_WRITEABLE);
    }
  }
};

class KeptArrays {
 public:
  // The arrays over `data` if they are kept and fit; the caller sets the owner's loan and makes them writable.
  LentArray take(const framebus::detail::ArrayInfo& info, const void* data) noexcept {
    const auto place = static_cast<std::size_t>(std::find(data_.begin(), data_.end(), data) - data_.begin());
    if (place == kPlaces) return {};
    data_[place] = nullptr;
    LentArray found = std::move(arrays_[place]);
    return fits(found, types_[place], info, data) ? std::move(found) : LentArray{};
  }

  // Keeps the arrays of a loan that has ended; not those that anything else refers to.
  void keep(const framebus::detail::ArrayInfo& info, LentArray&& ended) noexcept {
    if (!ended.is_whole() || ended.is_shared()) return;
    nb::inst_ptr<Memory>(ended.memory)->loan.reset();
    data_[next_] = PyArray_DATA(reinterpret_cast<PyArrayObject*>(ended.view.ptr()));
    types_[next_] = info.type;
    arrays_[next_] = std::move(ended);
    next_ = (next_ + 1) % kPlaces;
  }

 private:
  static constexpr std::size_t kPlaces = 8;  // as many pointers as a line has

  static bool fits(const LentArray& lent, const framebus::detail::ElementType& type,
                   const framebus::detail::ArrayInfo& info, const void* data) {
    if (type != info.type || !lent.is_whole() || lent.is_shared()) return false;
    for (const nb::object* object : {&lent.view, &lent.base}) {  // programs can change both in place
      auto* array = reinterpret_cast<PyArrayObject*>(object->ptr());
      if (PyArray_DATA(array) != data || PyArray_NDIM(array) != static_cast<int>(info.ndim) ||
          reinterpret_cast<PyObject*>(PyArray_DESCR(array)) != lent.descr.ptr() || !has_usual_strides(array) ||
          !PyArray_CHKFLAGS(array, NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED) ||
          !std::equal(info.shape, info.shape + info.ndim, PyArray_DIMS(array),
                      [](std::uint64_t wanted, npy_intp got) { return wanted == static_cast<std::uint64_t>(got); })) {
        return false;
      }
    }
    return true;
  }

  // As numpy makes them. A length of 1 allows others in a C-contiguous array.
  static bool has_usual_strides(PyArrayObject* array) noexcept {
    npy_intp stride = PyArray_ITEMSIZE(array);
    for (int i = PyArray_NDIM(array) - 1; i >= 0; --i) {
      if (PyArray_STRIDE(array, i) != stride) return false;
      if (PyArray_DIM(array, i) != 0) stride *= PyArray_DIM(array, i);
    }
    return true;
  }

  std::array<const void*, kPlaces> data_{};  // null where nothing is kept
  std::array<LentArray, kPlaces> arrays_;
  std::array<framebus::detail::ElementType, kPlaces> types_{};
  std::size_t next_ = 0;
};

}  // namespace framebus_python
