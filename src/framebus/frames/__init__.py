# SPDX-License-Identifier: Apache-2.0
"""What a frame is: arrays, pixel format, metadata. No input, no output."""
