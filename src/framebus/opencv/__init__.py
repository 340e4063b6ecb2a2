# SPDX-License-Identifier: Apache-2.0
"""Channels as cv2.VideoCapture has cameras."""
