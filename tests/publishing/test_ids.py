from __future__ import annotations

import pyarrow as pa
from hypothesis import given as for_all
from hypothesis import strategies as st

from omr_kedro.publishing.ids import IdPlaces, Ids, keys_of

IDS = st.lists(st.text("0123456789abcdef", min_size=1, max_size=6), max_size=30)


def column(ids: list[str]) -> pa.Array:
    return pa.array(ids, pa.string())


@for_all(IDS, IDS)
def test_ids_are_found_counted_and_placed_as_texts_are(known: list[str], asked: list[str]) -> None:
    parts = [column(known[:5]), column(known[5:])]
    assert list(Ids(parts).hold(column(asked))) == [each in known for each in asked]
    places = IdPlaces(parts)
    assert list(places.counts(column(asked))) == [known.count(each) for each in asked]
    assert list(places.of(column(asked))) == [known.index(each) if each in known else -1 for each in asked]


def test_a_salt_makes_other_hashes_that_are_the_same_in_every_process() -> None:
    ids = column(["a" * 20, "b" * 20])
    assert list(keys_of(ids)) == list(keys_of(ids))
    assert list(keys_of(ids, "rl")) != list(keys_of(ids))
    assert keys_of(column(["8461f475f2ee8da906e0"]))[0] == KNOWN


KNOWN = 6800856553251826008
