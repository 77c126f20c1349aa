"""Features that came already, compared with a plain set."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ods_pipeline.portal.wfs.layer_reader import SeenFeatures

names = st.lists(st.sampled_from([f"d.{n}" for n in range(30)]), max_size=12)


@given(first=st.lists(names), later=st.lists(names))
def test_each_feature_is_new_once(first: list[list[str]], later: list[list[str]]) -> None:
    seen = SeenFeatures()
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
        assert seen.add_new(pa.array(batch, pa.string())).tolist() == expected
    assert seen.count() == len(known)
    assert not seen.missing_ids


def test_features_without_an_identifier_are_noticed() -> None:
    seen = SeenFeatures()
    seen.add(pa.array(["d.1", None]))
    assert seen.missing_ids
