# SPDX-License-Identifier: Apache-2.0
"""The demo's algorithm does what its head says, pixel by pixel; the pattern looks the same every time."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from framebus.demo import pattern
from framebus.demo.algorithm import EdgesAndMotion

Picture = NDArray[np.uint8]


class Reference:
    """The formulas at the head of the algorithm, one after the other, in large integers and without any bands."""

    def __init__(self) -> None:
        self._before: NDArray[np.int64] | None = None
        self._moved: NDArray[np.int64] | None = None

    def process(self, picture: Picture) -> Picture:
        wide = picture.astype(np.int64)
        gray = wide if wide.ndim == 2 else (wide @ np.array([29, 150, 77])) // 256
        edge = self._edge(gray)
        moved = self._motion(gray)
        blue = gray // 4 + edge
        green = gray // 4 + edge * 3 // 4 + moved // 2
        red = gray // 4 + moved
        return np.minimum(np.stack([blue, green, red], axis=-1), 255).astype(np.uint8)

    @staticmethod
    def _edge(gray: NDArray[np.int64]) -> NDArray[np.int64]:
        edge = np.zeros_like(gray)
        smooth, slope = np.array([1, 2, 1]), np.array([-1, 0, 1])
        for y in range(1, gray.shape[0] - 1):
            for x in range(1, gray.shape[1] - 1):
                around = gray[y - 1 : y + 2, x - 1 : x + 2]
                edge[y, x] = min(255, (abs(smooth @ around @ slope) + abs(slope @ around @ smooth)) // 2)
        return edge

    def _motion(self, gray: NDArray[np.int64]) -> NDArray[np.int64]:
        if self._before is None or self._moved is None:
            self._moved = np.zeros_like(gray)
        else:
            change = np.clip(4 * (abs(gray - self._before) - 16), 0, 255)
            self._moved = np.maximum(self._moved * 7 // 8, change)
        self._before = gray
        return self._moved


def result_of(algorithm: EdgesAndMotion, picture: Picture) -> Picture:
    result = np.full((*picture.shape[:2], 3), 99, np.uint8)
    algorithm.process(picture, result)
    return result


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 9), (2, 7), (3, 3), (9, 2), (31, 12), (32, 12), (33, 12), (34, 5), (65, 8), (97, 4)]
)
@pytest.mark.parametrize("colours", [(), (3,)], ids=["gray", "colour"])
def test_every_pixel_follows_the_formulas(shape: tuple[int, int], colours: tuple[int, ...]) -> None:
    random = np.random.default_rng(7)
    algorithm, reference = EdgesAndMotion(), Reference()
    for contrast in (255, 255, 30, 30, 0, 255):
        picture = random.integers(0, contrast, (*shape, *colours), np.uint8, endpoint=True)
        np.testing.assert_array_equal(result_of(algorithm, picture), reference.process(picture))


def test_a_new_size_begins_anew() -> None:
    random = np.random.default_rng(8)
    algorithm = EdgesAndMotion()
    for shape in ((40, 30, 3), (20, 60, 3), (40, 30), (41, 30)):
        picture = random.integers(0, 256, shape, np.uint8)
        np.testing.assert_array_equal(result_of(algorithm, picture), Reference().process(picture))


def test_a_picture_that_stands_still_has_no_motion() -> None:
    picture = np.random.default_rng(9).integers(0, 256, (48, 64, 3), np.uint8)
    algorithm, result = EdgesAndMotion(), np.empty((48, 64, 3), np.uint8)
    found = [algorithm.process(picture, result) for _ in range(3)]
    assert [finding.motion for finding in found] == [0, 0, 0]
    assert len({finding.edges for finding in found}) == 1


def test_motion_is_where_something_moved_and_fades_away() -> None:
    algorithm, result = EdgesAndMotion(), np.empty((60, 80, 3), np.uint8)
    empty = np.zeros((60, 80, 3), np.uint8)
    with_square = empty.copy()
    with_square[20:40, 30:50] = 200
    assert algorithm.process(empty, result).motion == 0
    assert algorithm.process(with_square, result).motion == pytest.approx(20 * 20 / (60 * 80))
    assert (result[20:40, 30:50, 2] == 255).all()
    assert not result[:19].any()
    shares = [algorithm.process(with_square, result).motion for _ in range(20)]
    assert shares[0] > 0
    assert shares[-1] == 0
    assert sorted(shares, reverse=True) == shares


def test_edges_are_where_brightness_jumps() -> None:
    picture = np.zeros((30, 40), np.uint8)
    picture[:, 20:] = 255
    result = result_of(EdgesAndMotion(), picture)
    assert (result[1:-1, 19:21, 0] == 255).all()
    assert not result[:, :19].any()
    assert (result[:, 21:] == 255 // 4).all()


def test_the_input_may_be_read_only_and_need_not_be_contiguous() -> None:
    whole = np.random.default_rng(10).integers(0, 256, (50, 90, 3), np.uint8)
    part = whole[::-1, 10:70:2, ::-1]
    part.flags.writeable = False
    np.testing.assert_array_equal(result_of(EdgesAndMotion(), part), Reference().process(part))


@pytest.mark.parametrize(
    ("picture", "result"),
    [
        (np.zeros((4, 5, 4), np.uint8), np.zeros((4, 5, 3), np.uint8)),
        (np.zeros((4, 5, 3), np.uint16), np.zeros((4, 5, 3), np.uint8)),
        (np.zeros(4, np.uint8), np.zeros((4, 5, 3), np.uint8)),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 6, 3), np.uint8)),
        (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5, 3), np.float32)),
    ],
    ids=["four colours", "16 bits", "one dimension", "other size", "float result"],
)
def test_other_shapes_and_types_are_refused_with_what_was_expected(
    picture: NDArray[np.generic], result: NDArray[np.generic]
) -> None:
    with pytest.raises(ValueError, match=r"expected a (picture|result) .* of uint8, got \("):
        EdgesAndMotion().process(picture, result)  # type: ignore[arg-type]


def test_the_pattern_fills_its_whole_picture_and_repeats_itself_exactly() -> None:
    for first, second in zip(islice(pattern.pictures(), 5), islice(pattern.pictures(), 5), strict=True):
        on_black, on_white = np.zeros(first.shape, np.uint8), np.full(second.shape, 255, np.uint8)
        first.draw_into(on_black)
        second.draw_into(on_white)
        np.testing.assert_array_equal(on_black, on_white)


def test_every_picture_of_the_pattern_differs_from_the_one_before_and_is_due_later() -> None:
    before, due_s = np.zeros((pattern.HEIGHT, pattern.WIDTH, 3), np.uint8), -1.0
    for number, picture in enumerate(islice(pattern.pictures(), 20)):
        drawn = np.empty(picture.shape, np.uint8)
        picture.draw_into(drawn)
        assert picture.number == number
        assert picture.time_s > due_s
        assert (drawn != before).any()
        before, due_s = drawn, picture.time_s


def test_the_pattern_never_leaves_its_frame() -> None:
    board, drawn = pattern.Board(), np.empty((pattern.HEIGHT, pattern.WIDTH, 3), np.uint8)
    for number in (0, 77, 78, 79, 80, 81, 82, 999, 123456, 999999):
        board.draw(number, drawn)  # a ball outside would not fit into its patch
