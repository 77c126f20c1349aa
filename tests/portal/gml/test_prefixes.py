"""Prefixes are spelling: two may mean one namespace, and one may mean two in different places."""

import pytest

from ods_pipeline import read_gml

SPACES = " ".join(
    f'xmlns:{prefix}="{uri}"'
    for prefix, uri in {
        "wfs": "http://www.opengis.net/wfs",
        "gml": "http://www.opengis.net/gml",
        "ods": "https://data.test/api/wfs/featuretype",
        "also": "https://data.test/api/wfs/featuretype",
    }.items()
)
MANY = 12_000  # so that most are read by the template of others
ODS = 'xmlns:p="https://data.test/api/wfs/featuretype"'
GML = 'xmlns:p="http://www.opengis.net/gml"'


def document(*features: str) -> bytes:
    members = "".join(
        f'<gml:featureMember><ods:d gml:id="d.{number}">{body}</ods:d></gml:featureMember>'
        for number, body in enumerate(features)
    )
    return f"<wfs:FeatureCollection {SPACES}>{members}</wfs:FeatureCollection>".encode()


def point(prefix: str, number: int) -> str:
    shape = f'<gml:Point srsName="EPSG:2154"><gml:pos>{number} 1</gml:pos></gml:Point>'
    return f"<{prefix}:place>{shape}</{prefix}:place>"


@pytest.mark.parametrize("seldom", [2, 7, 5000])
def test_two_prefixes_of_one_namespace_are_one_property(seldom: int) -> None:
    def feature(number: int) -> str:
        prefix = "also" if number % seldom == 1 else "ods"
        value = f"<{prefix}:v>{number}</{prefix}:v><ods:w>{number}</ods:w>"
        return value + point(prefix, number)

    read = read_gml(document(*map(feature, range(MANY))))
    assert read.v.tolist() == read.w.tolist() == [str(number) for number in range(MANY)]
    assert read.place.x.tolist() == [float(number) for number in range(MANY)]


def test_two_prefixes_in_one_feature_are_a_repeated_property() -> None:
    features = [f"<ods:v>{n}</ods:v><also:v>b</also:v><ods:w>c</ods:w>" for n in range(MANY)]
    read = read_gml(document(*features))
    assert list(map(list, read.v)) == [[str(number), "b"] for number in range(MANY)]


def test_a_prefix_that_means_another_namespace_here_is_another_property() -> None:
    features = [f"<p:name {GML if n % 2 else ODS}>{n}</p:name>" for n in range(MANY)]
    read = read_gml(document(*features))
    assert read.name.dropna().tolist() == [str(number) for number in range(0, MANY, 2)]
    assert read.gml_name.dropna().tolist() == [str(number) for number in range(1, MANY, 2)]
