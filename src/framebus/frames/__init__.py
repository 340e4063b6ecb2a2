# SPDX-License-Identifier: Apache-2.0
"""What a frame is: arrays, pixel format, metadata. It has no input or output."""
