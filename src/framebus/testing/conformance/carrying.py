# SPDX-License-Identifier: Apache-2.0
"""What goes in comes out: order, every byte, names, dtypes, shapes, metadata, pixel format, timestamps, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framebus.testing import specimen
from framebus.testing.conformance.pair import Base, Facts, Link, Pair, Sending, check_numbers
from framebus.testing.peers import Receiver, Sender
from framebus.testing.process import Refused

SIZES = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8), "c": (8, 16)}
DTYPES = [
    f"{order}{kind}{size}" for kind, sizes in SIZES.items() for size in sizes for order in ("|" if size == 1 else "<>")
] + [np.dtype(np.longdouble).str, np.dtype(np.clongdouble).str]
SHAPES: list[tuple[int, ...]] = [(), (0,), (3, 0, 2), (1,), (7,), (5, 3), (2, 3, 4, 5), (2, 1, 3, 1, 2, 1, 2, 3)]
MANY: list[specimen.ArraySpec] = [
    ("colour", "|u1", (48, 64, 3), "C"),
    ("depth", "<u2", (48, 64), "strided"),
    ("größe", ">f4", (), "C"),
    ("n" * 32, "<c8", (5, 4), "F"),
    ("empty", "<f8", (0, 4), "C"),
    ("mask", "|b1", (48, 64), "reversed"),
    ("a b/c.d", "<i8", (1,), "C"),
    ("8", "|i1", (3, 3), "F"),
]
META = {
    "exposure_us": 900,
    "gain": 1.5,
    "on": True,
    "none": None,
    "name": "Kamera \u2603 \U0001f4f7",
    "nested": {"list": [1, [2, {"three": 3}]], "": ""},
    "big": -(2**63),
    "text": "x" * 20_000,
}
FOUR_K = ((2160, 3840, 3), (2160, 3840))
REFUSALS = {"EndpointError", "TypeError", "ValueError", "FrameTooLarge"}


class Carrying(Base):
    """Tests of what a mechanism carries."""

    def test_frames_arrive_in_order_with_every_byte(self, pair: Pair) -> None:
        _, dtype, shape, _ = self.standard(pair)[0]
        report, sent = run_through(pair, first=specimen.FIRST, count=200, dtype=dtype, shapes=[shape])
        check_numbers(pair, report, sent)

    def test_big_and_small_frames_arrive_mixed(self, pair: Pair) -> None:
        big = next((shape for shape in FOUR_K if self.fits(pair, "|u1", shape)), None)
        if big is None:
            answer = pair.exchange([Sending(specimen.FIRST, [("image", "|u1", FOUR_K[0], "C")])])[0]
            assert is_refused(answer), "a frame that is too large, or of another shape, was not refused"
            return
        shapes = [shape for shape in (big, (48, 64, 3), (8,), (480, 640)) if self.takes(pair, "|u1", shape)]
        if pair.able.uniform:
            self.check_another_kind_is_refused(pair, [Sending(1, [("image", "|u1", shape, "C")]) for shape in shapes])
            return
        report, sent = run_through(pair, first=specimen.FIRST, count=12, dtype="|u1", shapes=shapes)
        check_numbers(pair, report, sent)

    def check_another_kind_is_refused(self, pair: Pair, sendings: Sequence[Sending]) -> None:
        """The first is sent, and again after all others have been refused; what was sent arrives."""
        first, *others, again = pair.exchange([*sendings, sendings[0]])
        assert others
        assert all(is_refused(answer) for answer in others), f"another kind of frame was not refused: {others}"
        for answer in (first, again):
            assert not isinstance(answer, Refused), answer
            assert answer["arrays"] == sendings[0].facts

    def test_every_dtype_in_both_byte_orders_arrives_or_is_refused(self, pair: Pair) -> None:
        self.check_images(pair, [(dtype, (6, 4), "C") for dtype in DTYPES])

    def test_every_shape_and_layout_arrives_or_is_refused(self, pair: Pair) -> None:
        self.check_images(pair, [("<u2", shape, layout) for shape in SHAPES for layout in specimen.LAYOUTS])

    def check_images(self, pair: Pair, images: Sequence[tuple[str, tuple[int, ...], str]]) -> None:
        """Sends images, the standard one last; each must arrive equal where takes() says so, else be refused."""
        sendings = [
            Sending(specimen.FIRST + i, [("image", dtype, shape, layout)])
            for i, (dtype, shape, layout) in enumerate(images)
        ]
        sendings.append(Sending(specimen.FIRST + len(images), self.standard(pair)))
        wrong = []
        answers = self.exchange_each(sendings) if pair.able.uniform else pair.exchange(sendings)
        for sending, answer in zip(sendings, answers, strict=True):
            _, dtype, shape, layout = sending.arrays[0]
            where = f"{dtype} {list(shape)} {layout}"
            if not self.takes(pair, dtype, shape):
                wrong += [] if is_refused(answer) else [f"{where}: neither carried nor refused: {answer}"]
            elif isinstance(answer, Refused):
                wrong.append(f"{where}: refused: {answer}")
            elif answer["arrays"] != sending.facts:
                wrong.append(f"{where}: sent {sending.facts}, received {answer['arrays']}")
            elif not answer["in_c_order"]:
                wrong.append(f"{where}: received in another order than C")
        assert wrong == []

    def exchange_each(self, sendings: Sequence[Sending]) -> list[Facts | Refused]:
        """As Pair.exchange(), each on a link of its own, but with the same two programs; for what is stored."""
        links = [self.link_in(f"each{i}") for i in range(len(sendings))]
        answers: list[Facts | Refused] = []
        with Sender(links[0].sink, env=links[0].env) as sink:
            for i, (link, sending) in enumerate(zip(links, sendings, strict=True)):
                if i:
                    sink.reopen(link.sink)
                try:
                    answers.append({"seq": sink.send(sending.number, sending.arrays)})
                except Refused as refused:
                    answers.append(refused)
            sink.close()
        sent = [i for i, answer in enumerate(answers) if not isinstance(answer, Refused)]
        with Receiver(links[sent[-1]].source, env=links[0].env) as source:
            for i in sent:
                source.reopen(links[i].source)
                answers[i] = source.recv(0)
        return answers

    def test_several_arrays_keep_their_names_and_order(self, pair: Pair) -> None:
        _, dtype, shape, layout = self.standard(pair)[0]
        two: list[specimen.ArraySpec] = [(name, dtype, shape, layout) for name in ("image", "second")]
        if pair.able.arrays == "many":
            sending = Sending(specimen.FIRST, MANY if pair.able.dtypes == "any" else two)
            (answer,) = pair.exchange([sending])
            assert not isinstance(answer, Refused), answer
            assert answer["arrays"] == sending.facts
        else:
            self.check_limit(pair, Sending(specimen.FIRST, two))

    def test_metadata_arrives(self, pair: Pair) -> None:
        sending = Sending(specimen.FIRST, self.standard(pair), {"meta": META})
        if pair.able.meta:
            with_meta, without = pair.exchange([sending, Sending(specimen.FIRST + 1, self.standard(pair))])
            assert not isinstance(with_meta, Refused), with_meta
            assert not isinstance(without, Refused), without
            assert with_meta["meta"] == META
            assert without["meta"] == {}
        else:
            self.check_limit(pair, sending)

    def test_pixel_format_arrives(self, pair: Pair) -> None:
        image = self.standard(pair)
        if pair.able.pixel_format == "none":
            self.check_limit(pair, Sending(specimen.FIRST, image, {"pixel_format": "BGR8"}))
            return
        formats = ["BayerRG8", None, "BGR8"] if pair.able.pixel_format == "any" else [self.pixel_format]
        assert pair.able.pixel_format == "any" or self.pixel_format, "say in `pixel_format` what the standard image has"
        sendings = [
            Sending(specimen.FIRST + i, image, {"pixel_format": form} if form else {}) for i, form in enumerate(formats)
        ]
        for form, sending, answer in zip(formats, sendings, pair.exchange(sendings), strict=True):
            assert not isinstance(answer, Refused), answer
            assert answer["pixel_format"] == form
            assert answer["arrays"] == sending.facts

    def check_limit(self, pair: Pair, sending: Sending) -> None:
        """What the endpoint says it can't carry is refused, and left out, the image itself arriving, with ?lossy."""
        assert pair.info.sink is not None
        assert "lossy" in pair.info.sink, "a sink that can't carry everything has the option lossy"
        plain = Sending(specimen.FIRST, self.standard(pair))
        refused, after = pair.exchange([sending, plain])
        assert isinstance(refused, Refused), "what can't be carried was dropped silently"
        assert "EndpointError" in refused.kinds
        assert not isinstance(after, Refused), after
        assert after["arrays"] == plain.facts
        self.check_lossy(pair, sending, plain)

    def check_lossy(self, pair: Pair, sending: Sending, plain: Sending) -> None:
        """The same with ?lossy, on a fresh link."""
        again = self.pair_of(self.link_in("lossy"))
        try:
            (answer,) = again.exchange([sending], lossy=True)
        finally:
            again.close()
        assert not isinstance(answer, Refused), answer
        assert answer["arrays"] == plain.facts
        # A source may say something of its own, such as the name of a file.
        assert pair.able.meta or not {*sending.given.get("meta", {})} & {*answer["meta"]}

    folder: Path

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def link_in(self, name: str) -> Link:
        """Returns a further link, in a folder of that name."""
        (self.folder / name).mkdir()
        return self.link(self.folder / name)

    def test_both_timestamps_arrive(self, pair: Pair) -> None:
        given = {"timestamp_ns": 123_456_789_012_345, "wall_time_ns": 1_700_000_000_123_456_789}
        image = self.standard(pair)
        said, unsaid = pair.exchange([Sending(specimen.FIRST, image, given), Sending(specimen.FIRST + 1, image)])
        assert not isinstance(said, Refused), said
        assert not isinstance(unsaid, Refused), unsaid
        assert unsaid["timestamp_ns"] > 0
        assert unsaid["wall_time_ns"] > 1_500_000_000 * 10**9
        if pair.able.timestamps:
            assert {name: said[name] for name in given} == given

    def test_sequence_numbers_arrive_or_are_counted(self, pair: Pair) -> None:
        image = self.standard(pair)
        if pair.able.seq:
            seqs = [5, 6, 100, 2**40]
            sendings = [Sending(specimen.FIRST + i, image, {"seq": seq}) for i, seq in enumerate(seqs)]
            sendings.append(Sending(specimen.FIRST + len(seqs), image))
            seqs.append(seqs[-1] + 1)
        else:
            seqs = []
            sendings = [Sending(specimen.FIRST + i, image) for i in range(5)]
        answers = pair.exchange(sendings)
        found = [answer["seq"] for answer in answers if not isinstance(answer, Refused)]
        assert len(found) == len(sendings), answers
        assert found == sorted(set(found)), "sequence numbers out of order, or twice"
        if pair.able.seq:
            assert found == seqs
        elif pair.every:
            assert found == list(range(found[0], found[0] + len(found)))

    def test_two_receivers(self, pair: Pair) -> None:
        if pair.able.stored and pair.able.receivers == "many":
            self.check_two_read_what_is_stored(pair)
            return
        if pair.link.source_fds or pair.able.stored:
            assert pair.able.receivers == "one", "an inherited descriptor can't be opened a second time"
            return
        first = pair.start().source
        try:
            second = pair.start_source()
        except Refused:
            assert pair.able.receivers == "one"
            return
        pair.greet()
        for receiver in (first, second):
            receiver.begin_collect(timeout=pair.silence_s)
        _, dtype, shape, _ = self.standard(pair)[0]
        sent = pair.sink.flood(specimen.FIRST, 300, dtype=dtype, shapes=[shape], pause=0.001)["sent"]
        pair.sink.close()
        reports = [first.answer(), second.answer()]
        if pair.able.receivers == "many":
            for report in reports:
                check_numbers(pair, report, sent)
        else:
            assert [report["not_whole"] for report in reports] == [[], []]
            numbers = sorted(reports[0]["numbers"] + reports[1]["numbers"])
            assert numbers == sorted(set(numbers)), "where frames go to one receiver, two got the same one"

    def check_two_read_what_is_stored(self, pair: Pair) -> None:
        """Each of two receivers at the same time gets all of it."""
        sent = pair.store(50, self.standard(pair))
        receivers = [pair.start_source(), pair.start_source()]
        for receiver in receivers:
            receiver.begin_collect()
        for receiver in receivers:
            check_numbers(pair, receiver.answer(), sent)


def run_through(pair: Pair, **flood: Any) -> tuple[Facts, list[int]]:
    """Sends images, closes the sink, and returns what was received until the end, and what was sent."""
    if pair.able.stored:
        sent = pair.start_sink().flood(**flood)["sent"]
        pair.sink.close()
        pair.start_source().begin_collect()
    else:
        pair.start().source.begin_collect(timeout=pair.silence_s)
        sent = pair.sink.flood(**flood, timeout=30.0)["sent"]
        pair.sink.close()
    assert len(sent) == flood["count"]
    report: Facts = pair.source.answer()
    assert report["ended"]["error"] == ("ChannelClosed" if pair.able.notices_close else "Timeout"), report["ended"]
    return report, sent


def is_refused(answer: Facts | Refused) -> bool:
    """Whether a frame was refused with an error that fits."""
    return isinstance(answer, Refused) and not REFUSALS.isdisjoint(answer.kinds)
