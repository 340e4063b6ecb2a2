# SPDX-License-Identifier: Apache-2.0
"""framebus and its peers, each written as its own documentation recommends for speed. Run by benchmarks.compare.

`peer` says what each file offers. Optional packages are imported when an end is opened, so that one that is not there
is reported where the figures would stand.
"""
