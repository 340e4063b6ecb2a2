# SPDX-License-Identifier: Apache-2.0
"""The ends of a channel in shared memory, and what tells about channels."""
