"""Progress: plain lines now and then where nobody watches, a bar where somebody does."""

from __future__ import annotations

import io

import pytest

from sweep.progress import State, quantity, shown_on, silent


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("sweep.progress.time.monotonic", lambda: now[0])
    return now


def state(done, seconds=4.0, tiles=8):
    return State(done, tiles, done * 1_000_000, seconds, 1.5e-7)


def test_lines_come_now_and_then_and_at_the_end(clock):
    stream = io.StringIO()
    with shown_on(stream, "study") as listen:
        for done, at in ((1, 1), (2, 9), (3, 11), (4, 12), (5, 20), (6, 22), (7, 23), (8, 23.5)):
            clock[0] = 100 + at
            listen(state(done, seconds=at))
    lines = stream.getvalue().splitlines()
    assert [line.split(" tiles")[0] for line in lines] == ["study: 3/8", "study: 6/8", "study: 8/8"]
    assert lines[0] == "study: 3/8 tiles, 273 k trajectories/s, ETA 18 s, worst numerical error 1.5e-07"
    assert "ETA 0 s" in lines[-1]


def test_the_time_left_is_that_of_the_tiles_of_this_call(clock):
    stream = io.StringIO()
    with shown_on(stream, "study") as listen:
        listen(State(91, 100, 1, 1.0, 0.0))
        clock[0] += 11
        listen(State(92, 100, 2, 12.0, 0.0))
    # Two tiles in 12 seconds, eight more to go.
    assert "ETA 48 s" in stream.getvalue()


def test_lines_are_flushed(clock, monkeypatch):
    flushed = []
    stream = io.StringIO()
    monkeypatch.setattr(stream, "flush", lambda: flushed.append(stream.getvalue()))
    with shown_on(stream, "study") as listen:
        listen(state(8))
    assert len(flushed) == 1
    assert flushed[0].endswith("\n")


def test_a_terminal_gets_a_bar():
    stream = Terminal()
    with shown_on(stream, "study") as listen:
        listen(state(3))
        listen(state(8))
    assert "study" in stream.getvalue()
    assert "8/8 tiles" in stream.getvalue()
    assert "2 M trajectories/s" in stream.getvalue()
    assert "error 1.5e-07" in stream.getvalue()


def test_silence():
    silent(state(1))


def test_rates():
    assert state(8).rate == 2e6
    assert State(0, 8, 0, 0.0, 0.0).rate == 0


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1 k"), (12_345_678, "12.3 M"), (5.6e9, "5.6 G"), (7e12, "7 T")],
)
def test_quantities(number, text):
    assert quantity(number) == text
