# SPDX-License-Identifier: Apache-2.0
"""The mechanisms behind framebus.source() and framebus.sink(): one module each, none of which imports another.

A mechanism has a table ENDPOINTS of the schemes it serves, and imports what it needs beyond numpy inside its functions.
endpoint/registry.py finds it by the scheme.
"""
