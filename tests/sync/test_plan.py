"""The plan of a run: each dataset and what is to become of it."""

from ods_pipeline.dataset import Dataset
from ods_pipeline.lake.receipt import Receipt
from ods_pipeline.sync.plan import Landed, plan
from ods_pipeline.sync.verdict import Kind


def test_the_plan_is_in_the_order_of_names_and_covers_what_is_gone() -> None:
    here = Dataset("p", "b", fields=())
    gone = Receipt("p", "records", "a", title="Gone")
    steps = plan([here], Landed({"a": gone}))
    assert [(s.dataset_id, s.verdict.kind, s.named) for s in steps] == [
        ("a", Kind.WITHDRAWN, False),
        ("b", Kind.RESTRICTED, False),
    ]
    assert [s.title for s in steps] == ["Gone", "b"]
    (step,) = plan([here], Landed(), ["nope", "nope"])
    assert (step.verdict.kind, step.named, step.title) == (Kind.UNKNOWN, True, "nope")
    assert "`ods-pipeline catalog` shows" in step.verdict.reason
