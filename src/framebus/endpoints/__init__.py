# SPDX-License-Identifier: Apache-2.0
"""The mechanisms behind framebus.source() and framebus.sink(): one file each, none of which imports another.

A file has a table ENDPOINTS of the schemes it serves, and imports what it needs beyond numpy inside its functions.
framebus.registry finds it by the scheme.
"""
