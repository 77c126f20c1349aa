"""Features that came already, against a plain set."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.portal.wfs.seen import Seen

names = st.lists(st.sampled_from([f"d.{n}" for n in range(30)]), max_size=12)


@given(first=st.lists(names), later=st.lists(names))
def test_each_feature_is_new_once(first: list[list[str]], later: list[list[str]]) -> None:
    seen = Seen()
    for batch in first:
        seen.add(pa.array(batch, pa.string()))
    known = {name for batch in first for name in batch}
    assert seen.count() == len(known)
    if len(known) < sum(map(len, first)):
        return
    for batch in later:
        expected = []
        for name in batch:
            expected.append(name not in known)
            known.add(name)
        assert seen.take(pa.array(batch, pa.string())).tolist() == expected
    assert seen.count() == len(known)
    assert not seen.nameless


def test_features_without_an_identifier_are_noticed() -> None:
    seen = Seen()
    seen.add(pa.array(["d.1", None]))
    assert seen.nameless
