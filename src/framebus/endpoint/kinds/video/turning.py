# SPDX-License-Identifier: Apache-2.0
"""Pictures turned and mirrored by quarter turns, without a copy: as the display matrix of a file or its reader says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Rotate = Literal["auto", "keep", "0", "90", "180", "270"]


class Turning(NamedTuple):
    """Rows and columns change places first, then the columns, the rows or both are put in reverse order."""

    transposed: bool = False
    mirrored: bool = False
    upside_down: bool = False

    def shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of a stored picture when it is turned."""
        return (stored[1], stored[0], *stored[2:]) if self.transposed else stored

    def as_stored(self, turned: NDArray[Any]) -> NDArray[Any]:
        """Returns a view of the memory for a turned picture, into which it can be written as it is stored."""
        view = turned[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]
        return view.swapaxes(0, 1) if self.transposed else view


# By degrees clockwise.
CLOCKWISE = {
    "0": Turning(),
    "90": Turning(transposed=True, mirrored=True),
    "180": Turning(mirrored=True, upside_down=True),
    "270": Turning(transposed=True, upside_down=True),
}


def turning_of(frame: VideoFrame) -> Turning | None:
    """Returns what the file wants done with a picture; None for something that is not made of quarter turns."""
    from av.sidedata.sidedata import SideDataContainer

    try:
        # PyAV's frame.side_data refers to the frame and the frame to it, so each picture would stay in memory until the
        # garbage collector runs, and a forked child's collector would free pictures while it may not: lifetime.py.
        matrix = SideDataContainer(frame)["DISPLAYMATRIX"]  # type: ignore[call-arg]  # its stub has no constructor
    except KeyError:
        return Turning()
    # x' = a x + c y, y' = b x + d y, as 16.16 numbers: a b u, c d v, x y w
    a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), np.int32).tolist()
    if a == d == 0 and b and c:
        return Turning(transposed=True, mirrored=c < 0, upside_down=b < 0)
    if b == c == 0 and a and d:
        return Turning(mirrored=a < 0, upside_down=d < 0)
    return None
