# SPDX-License-Identifier: Apache-2.0
"""The message format: everything comes back, and nothing that comes from outside gets further than Malformed."""

from __future__ import annotations

import itertools
import json
import random
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from framebus.endpoint import OutgoingFrame, wire
from framebus.frames import pixel_format
from framebus.testing import specimen
from framebus.testing.conformance import carrying, foreign

META = {"exposure_us": 900, "list": [1, 2.5, None, True], "größe": "\u2603 \U0001f4f7", "nul": "\0"}


def outgoing_frame(arrays: dict[str, NDArray[Any]], **changes: Any) -> OutgoingFrame:
    given: dict[str, Any] = {"seq": 7, "timestamp_ns": 123, "wall_time_ns": -5, "meta": META, "pixel_format": "BGR8"}
    return OutgoingFrame(arrays, **{**given, **changes})


def message(frame: OutgoingFrame) -> bytes:
    head, arrays = wire.encode(frame)
    return head + b"".join(wire.pieces(arrays))


def read(data: bytes) -> Any:
    head = wire.decode_head(data)
    begin = wire.HEAD.size + head.description_bytes
    description = wire.describe(data[wire.HEAD.size : begin], head)
    assert len(data) - begin == head.body_bytes == description.body_bytes
    return description.frame(data[begin:])


def described(**changes: Any) -> bytes:
    """A description of one array of 8 bytes, with changes; a value of ... leaves a part out."""
    parts = {
        "seq": 1,
        "timestamp_ns": 2,
        "wall_time_ns": 3,
        "pixel_format": None,
        "meta": {},
        "arrays": [{"name": "image", "dtype": "|u1", "shape": [8]}],
        **changes,
    }
    return json.dumps({name: value for name, value in parts.items() if value is not ...}).encode()


def array(**changes: Any) -> dict[str, Any]:
    return {"arrays": [{"name": "image", "dtype": "|u1", "shape": [8], **changes}]}


def describe(data: bytes, body_bytes: int = 64) -> wire.Description:
    return wire.describe(data, wire.Head(wire.FRAME, len(data), body_bytes))


# Everything comes back


def test_a_frame_with_everything_comes_back() -> None:
    arrays = specimen.arrays_of(1, carrying.MANY)
    found = read(message(outgoing_frame(arrays)))
    assert specimen.facts(found.arrays) == specimen.facts(arrays)
    assert (found.seq, found.timestamp_ns, found.wall_time_ns) == (7, 123, -5)
    assert (found.meta, found.pixel_format) == (META, "BGR8")


@pytest.mark.parametrize("dtype", carrying.DTYPES)
def test_every_dtype_comes_back_in_its_byte_order(dtype: str) -> None:
    image = specimen.make(1, dtype, (6, 4), "F")
    found = read(message(outgoing_frame({"image": image}))).array
    assert found.dtype.str == image.dtype.str
    assert found.tobytes() == image.tobytes()


@pytest.mark.parametrize(("shape", "layout"), [*itertools.product(carrying.SHAPES, specimen.LAYOUTS)])
def test_every_shape_and_layout_comes_back(shape: tuple[int, ...], layout: str) -> None:
    image = specimen.make(1, "<u2", shape, layout)
    found = read(message(outgoing_frame({"image": image}))).array
    assert found.shape == shape
    assert found.tobytes() == image.tobytes()


def test_every_pixel_format_and_none_comes_back() -> None:
    image = np.zeros(3, np.uint8)
    for form in [*pixel_format.FORMATS, None]:
        assert read(message(outgoing_frame({"image": image}, pixel_format=form))).pixel_format == form


def test_the_largest_numbers_come_back() -> None:
    numbers = {"seq": 2**63 - 1, "timestamp_ns": -(2**63), "wall_time_ns": 2**63 - 1}
    found = read(message(outgoing_frame({"image": np.zeros(3, np.uint8)}, **numbers)))
    assert {name: getattr(found, name) for name in numbers} == numbers


def test_the_largest_metadata_comes_back() -> None:
    meta = {"x": "y" * ((1 << 20) - 8)}
    assert read(message(outgoing_frame(specimen.arrays_of(1, carrying.MANY), meta=meta))).meta == meta


def test_arrays_begin_at_multiples_of_64_in_the_message() -> None:
    data = message(outgoing_frame(specimen.arrays_of(1, carrying.MANY)))
    head = wire.decode_head(data)
    assert (wire.HEAD.size + head.description_bytes) % wire.LINE == 0
    places = wire.describe(data[24 : 24 + head.description_bytes], head).arrays
    assert len(places) == len(carrying.MANY)
    assert [place.offset % wire.LINE for place in places] == [0] * len(places)


def test_a_body_is_not_copied_to_be_written_nor_to_be_read() -> None:
    image = specimen.make(1, "|u1", (480, 640, 3))
    head, arrays = wire.encode(outgoing_frame({"image": image}))
    assert np.shares_memory(arrays[0], image)
    (piece,) = wire.pieces(arrays)
    assert np.shares_memory(np.frombuffer(piece, np.uint8), image)
    body = image.reshape(-1).copy()
    found = wire.describe(head[24:], wire.decode_head(head)).frame(body)
    assert np.shares_memory(found.array, body)


def test_the_end_of_a_stream_is_a_head_alone() -> None:
    assert wire.decode_head(wire.end()) == wire.Head(wire.END, 0, 0)
    assert len(wire.end()) == wire.HEAD.size


# Nothing gets further than Malformed


def head(**changes: Any) -> bytes:
    parts = {"magic": b"FBUS", "version": 1, "kind": 1, "zero": 0, "description": 64, "zero_too": 0, "body": 64}
    return struct.pack("<4sBBHIIQ", *{**parts, **changes}.values())


def test_the_head_these_tests_change_is_a_good_one() -> None:
    assert wire.decode_head(head()) == wire.Head(wire.FRAME, 64, 64)
    assert describe(described()).arrays[0].shape == (8,)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes, a message has at least 24"),
        (head()[:23], "23 bytes"),
        (head(magic=b"FBUX"), "it begins with b'FBUX'"),
        (head(version=2), "version 2 of the format, this release knows 1"),
        (head(kind=0), "kind 0"),
        (head(kind=3), "kind 3"),
        (head(zero=1), "kind 1 of message"),
        (head(zero_too=1), "kind 1 of message"),
        (head(kind=2), "an end with something after it"),
        (head(kind=2, description=0), "an end with something after it"),
        (head(description=2**32 - 1), "a description of 4294967295 bytes"),
        (head(description=wire.MAX_DESCRIPTION + 1), "a description of"),
        (head(body=2**64 - 1), "a frame of 18446744073709551615 bytes, the source takes at most"),
        (head(body=wire.DEFAULT_MAX_BYTES + 1), "pass a larger max_bytes="),
    ],
)
def test_a_head_that_is_none_is_malformed(data: bytes, says: str) -> None:
    with pytest.raises(wire.Malformed) as error:
        wire.decode_head(data)
    assert says in str(error.value)


def test_a_limit_of_the_receiver_comes_before_that_of_the_format() -> None:
    assert wire.decode_head(head(body=64), 64).body_bytes == 64
    with pytest.raises(wire.Malformed, match="takes at most 63"):
        wire.decode_head(head(body=64), 63)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not an object with arrays"),
        (b"\xff\xfe", "can't be read"),
        (described().decode().encode("utf-16"), "can't be read"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"arrays":' + b"[" * 100_000, "nested too deeply"),
        (b"[]", "expected an object"),
        (b"null", "expected an object"),
        (described() + b"x", "can't be read"),
        (described(arrays=...), "not an object with arrays"),
        (described(arrays={}), "not an object with arrays"),
        (described(arrays=[]), "0 arrays"),
        (described(arrays=[{"name": f"{i}", "dtype": "|u1", "shape": [0]} for i in range(9)]), "9 arrays"),
        (described(arrays=array()["arrays"] * 2), "two arrays of one name"),
        (described(arrays=[5]), "an array that is not an object"),
        (described(**array(name="")), "1 to 32 bytes"),
        (described(**array(name="n" * 33)), "1 to 32 bytes"),
        (described(**array(name="\u2603" * 11)), "1 to 32 bytes"),
        (described(**array(name=None)), "1 to 32 bytes"),
        (described(**array(name="\ud800")), "surrogates not allowed"),
        (described(meta={"\ud800": 1}), "surrogates not allowed"),
        (described(meta={"x": ["\udfff"]}), "surrogates not allowed"),
        (described(meta={"x": float("nan")}), "NaN"),
        (described(meta={"x": float("-inf")}), "-Infinity"),
        (described().replace(b'"meta": {}', b'"meta": {"x": 1e999}'), "1e999"),
        (described().replace(b'"meta": {}', b'"meta": {"x": ' + b"9" * 10_000 + b"}"), "can't be read"),
        (described(meta=[]), "metadata that are not an object"),
        (described(meta=...), "metadata that are not an object"),
        (described(pixel_format="BGR9"), "pixel format 'BGR9' is not known"),
        (described(pixel_format="x" * 10_000), "is not known"),
        (described(pixel_format=["BGR8"]), "is not known"),
        (described(seq=...), "seq is None"),
        (described(seq=1.0), "seq is 1.0"),
        (described(seq=True), "seq is True"),
        (described(seq="1"), "seq is '1'"),
        (described(seq=2**63), "seq is 9223372036854775808"),
        (described(timestamp_ns=-(2**63) - 1), "timestamp_ns is"),
        (described(wall_time_ns=None), "wall_time_ns is None"),
        (described(**array(shape=None)), "no shape of 0 to 8 dimensions"),
        (described(**array(shape="8")), "no shape of 0 to 8 dimensions"),
        (described(**array(shape=[1] * 9)), "no shape of 0 to 8 dimensions"),
        (described(**array(shape=[-8])), "has the shape [-8]"),
        (described(**array(shape=[8.0])), "has the shape [8.0]"),
        (described(**array(shape=[True])), "has the shape [True]"),
        (described(**array(shape=[2**63])), "has the shape"),
        (described(**array(shape=[2**63 - 1] * 8)), "too large"),
        (described(**array(shape=[2**32, 2**32])), "too large"),  # 2**64 is 0 in 64 bits
        (described(**array(shape=[2**62, 2**62, 0])), "too large"),  # empty, but numpy can't make it
        (described(**array(shape=[2**61 + 1, 8])), "too large"),
        (described(**array(shape=[2**40])), "a body of 64 bytes for arrays that take 1099511627776"),
        (described(**array(shape=[65])), "a body of 64 bytes for arrays that take 128"),
        (described(**array(shape=[0])), "a body of 64 bytes for arrays that take 0"),
        (described(**array(dtype=None)), "has the dtype None"),
        (described(**array(dtype=["<u2"])), "has the dtype"),
        (described(**array(dtype="|O8")), "has the dtype '|O8'"),
        (described(**array(dtype="|V8")), "has the dtype"),
        (described(**array(dtype="<M8")), "has the dtype"),
        (described(**array(dtype="u1")), "has the dtype"),
        (described(**array(dtype="=u2")), "has the dtype"),
        (described(**array(dtype="<u2,<u2")), "has the dtype"),
        (described(**array(dtype="|c1")), "numpy does not know"),  # without "|", a text of one letter
        (described(**array(dtype="<i16")), "numpy does not know"),
        (described(**array(dtype="<f1")), "numpy does not know"),
        (described(**array(dtype="|u1\n")), "has the dtype"),
    ],
)
def test_a_description_that_contradicts_itself_is_malformed(data: bytes, says: str) -> None:
    with pytest.raises(wire.Malformed) as error:
        describe(data)
    assert says in str(error.value)
    assert len(str(error.value)) < 1000


def test_every_dtype_that_is_accepted_is_of_the_kind_and_size_it_says() -> None:
    accepted = []
    for order, kind, size in itertools.product("<>|", "biufc", (1, 2, 4, 8, 16, 32)):
        dtype = f"{order}{kind}{size}"
        try:
            found = describe(described(**array(dtype=dtype, shape=[])))
        except wire.Malformed:
            continue
        accepted.append(dtype)
        assert found.arrays[0].dtype.kind == kind
        assert found.arrays[0].nbytes == size
        assert found.frame(bytes(64)).array.shape == ()
    assert {*carrying.DTYPES} <= {*accepted}


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_is_a_frame_inside_its_body_or_malformed(seed: int) -> None:
    good = foreign.wire_messages()
    pieces = foreign.mutations(good, 400, seed) + [splice(good, random.Random(f"{seed}.{i}")) for i in range(400)]
    frames = 0
    for piece in pieces:
        try:
            found = wire.decode_head(piece, 1 << 20)
            if found.kind == wire.END:
                continue
            begin = wire.HEAD.size + found.description_bytes
            description = wire.describe(piece[wire.HEAD.size : begin], found)
        except wire.Malformed:
            continue
        frame = description.frame(bytes(found.body_bytes))
        assert sum(array.nbytes for array in frame.arrays.values()) <= found.body_bytes
        assert message(outgoing_frame(frame.arrays, meta=frame.meta)), "what was accepted can't be sent on"
        frames += 1
    assert frames, "every piece was refused at once: nothing was tested behind that"


def splice(messages: list[bytes], chance: random.Random) -> bytes:
    """A good message whose description has some of its characters or words exchanged, and the right length again."""
    data = chance.choice(messages[:2])
    begin = wire.HEAD.size + wire.decode_head(data).description_bytes
    text = bytearray(data[wire.HEAD.size : begin].rstrip())
    for _ in range(chance.choice((1, 1, 1, 3))):
        at = chance.randrange(len(text))
        word = chance.choice(
            (b"", b"0", b"-", b"9" * 19, b"1e400", b"null", b"[", b"]", b"{", b"}", b'"', b",", b"\\u")
        )
        text[at : at + chance.choice((0, 1, 1, 2))] = word
    return wire.HEAD.pack(*(*wire.HEAD.unpack(data[:24])[:4], len(text), 0, len(data) - begin)) + text + data[begin:]
