from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.sandbox.jail import orders
from omr_kedro.sandbox.jail.orders import Message
from omr_kedro.sandbox.jail.settings import Settings


@given(
    st.sampled_from([orders.OPEN, orders.SIGNAL, orders.READY, orders.REFUSED, orders.FAILED, orders.ENDED]),
    st.integers(0, 2**32 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.floats(allow_nan=False),
    st.integers(0, 2**64 - 1),
    st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace").decode()),
)
def test_a_message_is_read_back(kind: bytes, slot: int, number: int, seconds: float, amount: int, words: str) -> None:
    message = Message(kind, slot, number, seconds, amount, words)
    assert orders.read(message.pack()) == message


def test_long_words_fit_a_packet() -> None:
    assert len(Message(orders.REFUSED, words="x" * 10_000).pack()) == orders.SIZE


@given(st.integers(), st.integers(), st.text())
def test_settings_go_over_a_command_line(control: int, memory_mb: int, folder: str) -> None:
    settings = Settings(control, memory_mb=memory_mb, folder=folder)
    assert Settings.read(settings.words()) == settings
