"""What comes back when it is no answer: reports in every dialect, pages, JSON, quotas, silence."""

from collections.abc import Callable

import pytest

from ods_pipeline.errors import (
    AccessDenied,
    NotAPortal,
    PortalError,
    PortalFailure,
    QuotaExhausted,
    RequestRefused,
    ServiceException,
)
from ods_pipeline.portal.auth import ApiKey
from ods_pipeline.portal.http.client import Client
from ods_pipeline.portal.wfs import Method, Wfs
from tests.portal.wfs.serving import Reply, Served, recorded, service

REPORTS = {
    "ods_wfs110_exception.xml": (
        "InvalidParameterValue",
        "service",
        "Service must be WFS or CSW.",
    ),
    "ods_wfs200_exception.xml": (
        "InvalidParameterValue",
        "service",
        "Service must be WFS or CSW.",
    ),
    "mapserver_wfs11_exception.xml": (
        "MissingParameterValue",
        "request",
        "msWFSDispatch(): WFS server error. Incomplete WFS request: REQUEST parameter missing",
    ),
    "mapserver_wfs11_exception_invalid_srsname.xml": (
        "InvalidParameterValue",
        "srsname",
        "msWFSGetFeature(): WFS server error. Invalid GetFeature Request:Invalid SRS.  Please check"
        " the capabilities and reformulate your request.",
    ),
    "mapserver_ows_wfs11_disabled.xml": (
        "InvalidParameterValue",
        "request",
        "msWFSDispatch(): WFS server error. WFS request not enabled. Check wfs/ows_enable_request "
        "settings.",
    ),
    "ogcclient_exception-report-1-1-0.xml": (
        "InvalidParameterValue",
        "request",
        "msWFSDispatch(): WFS server error. Invalid WFS request: FooBar",
    ),
    "ogcclient_exception-report-2-0-0.xml": (
        "InvalidParameterValue",
        "request",
        "msWFSDispatch(): WFS server error. Invalid WFS request: FooBar",
    ),
    "ogcclient_service-exception-report-1-0-0.xml": (
        "InvalidParameterValue",
        "request",
        "msWFSDispatch(): WFS server error. Invalid WFS request: FooBar",
    ),
}
PAGE = b"<!DOCTYPE html><html><head><title>Login</title></head><body>Log in</body></html>"
QUOTA = (
    b'{"errorcode": 10002, "reset_time": "2099-01-26T00:00:00Z", "limit_time_unit": "day",'
    b' "call_limit": 10000, "error": "Too many requests on the domain."}'
)
FORBIDDEN = b'{"error_code": "ForbiddenAccess", "message": "You don\'t have permission"}'
UNKNOWN = b'{"error_code": "NotFoundResource", "message": "The dataset x does not exist."}'
BAD_KEY = b'{"error": "API key is not valid"}'
METHODS: tuple[Method, ...] = ("GET", "POST")

Use = Callable[[Wfs], object]


def read(wfs: Wfs) -> bytes:
    with wfs.features("d") as chunks:
        return b"".join(chunks)


USES: dict[str, Use] = {
    "capabilities": lambda wfs: wfs.capabilities(),
    "describe": lambda wfs: wfs.describe("d"),
    "hits": lambda wfs: wfs.hits("d"),
    "features": read,
}


def failed(reply: Reply, use: Use = read, method: Method = "GET") -> tuple[PortalError, Served]:
    """The error that a reply becomes, and the requests for it."""
    with service(lambda _: reply) as served:
        wfs = Wfs(Client(served.url, attempts=2, max_wait=0), method=method)
        with pytest.raises(PortalError) as failure:
            use(wfs)
    return failure.value, served


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", [200, 400, 403, 404])
@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_an_error_with_code_locator_and_text_whatever_its_status(
    name: str, status: int, method: Method
) -> None:
    for use in USES.values():
        failure, served = failed(Reply(recorded(name), status), use, method)
        assert type(failure) is ServiceException
        expected = tuple(" ".join(part.split()) for part in REPORTS[name])
        assert (failure.code, failure.locator, failure.text) == expected
        assert failure.url.startswith(f"{served.url}/api/wfs")
        assert expected[2].rstrip(".") in str(failure)
        assert len(served.requests) == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_report_of_a_server_that_failed_is_asked_for_again(status: int, method: Method) -> None:
    failure, served = failed(Reply(recorded("ods_wfs110_exception.xml"), status), method=method)
    assert isinstance(failure, ServiceException)
    assert isinstance(failure, PortalFailure)
    assert failure.text == "Service must be WFS or CSW."
    assert failure.repeated
    assert [request.method for request in served.requests] == [method, method]
    assert served.requests[0].body == served.requests[1].body


@pytest.mark.parametrize(
    "type", ["application/xml", "text/xml", "text/html", "application/json", "", "text/xml;x=y"]
)
def test_a_report_is_known_by_its_root_and_not_by_its_content_type(type: str) -> None:
    for body in (
        recorded("ods_wfs110_exception.xml"),
        b"\xef\xbb\xbf" + recorded("ods_wfs110_exception.xml"),
        recorded("ods_wfs110_exception.xml").decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        b"\n <!-- " + b"x" * 40_000 + b" -->" + recorded("ods_wfs110_exception.xml")[38:],
    ):
        failure, _ = failed(Reply(body, type=type))
        assert isinstance(failure, ServiceException)
        assert failure.text == "Service must be WFS or CSW."


def test_a_report_of_several_exceptions_is_given_whole() -> None:
    body = b"""<o:ExceptionReport xmlns:o="http://www.opengis.net/ows"><o:Exception
        exceptionCode="A" locator="x"><o:ExceptionText>one</o:ExceptionText>
        <o:ExceptionText>two</o:ExceptionText></o:Exception><o:Exception exceptionCode="B">
        <o:ExceptionText>three</o:ExceptionText></o:Exception></o:ExceptionReport>"""
    failure, _ = failed(Reply(body))
    assert isinstance(failure, ServiceException)
    assert (failure.code, failure.locator, failure.text) == ("A", "x", "one two three")


def test_a_report_without_a_word_or_cut_off_is_still_one() -> None:
    failure, _ = failed(Reply(b"<ExceptionReport/>"))
    assert isinstance(failure, ServiceException)
    assert "the WFS reports an exception" in str(failure)
    failure, _ = failed(Reply(recorded("ods_wfs110_exception.xml")[:300], 500))
    assert isinstance(failure, ServiceException)
    assert "cannot be read" in str(failure)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (Reply(PAGE, 200, "text/html"), NotAPortal, "a web page came instead of data"),
        (Reply(PAGE, 200, "text/xml"), NotAPortal, "a web page came instead of data"),
        (Reply(b"\n <HTML><body>", 200, ""), NotAPortal, "a web page came instead of data"),
        (Reply(b"Sign in", 200, "text/html"), NotAPortal, "a web page came instead of data"),
        (Reply(PAGE, 403, "text/html"), AccessDenied, "without credentials; set ODS_API_KEY"),
        (Reply(FORBIDDEN, 403, "application/json"), AccessDenied, "You don't have permission"),
        (Reply(FORBIDDEN, 200, "text/xml"), AccessDenied, "You don't have permission"),
        (Reply(BAD_KEY, 401, "application/json"), AccessDenied, "API key is not valid"),
        (Reply(BAD_KEY, 200, "application/json"), AccessDenied, "API key is not valid"),
        (Reply(UNKNOWN, 404, "application/json"), PortalError, "dataset x does not exist"),
        (Reply(UNKNOWN, 200, "application/json"), PortalError, "dataset x does not exist"),
        (Reply(PAGE, 404, "text/html"), NotAPortal, r"it has no WFS there \(status 404\)"),
        (Reply(b"", 410), NotAPortal, r"it has no WFS there \(status 410\)"),
        (Reply(QUOTA, 429, "application/json"), QuotaExhausted, "of 10000 requests a day .*2099"),
        (Reply(QUOTA, 200, "application/json"), QuotaExhausted, "of 10000 requests a day .*2099"),
        (Reply(b'{"message": "no"}', 200), RequestRefused, "an error in place of features: no"),
        (Reply(b"[1, 2]", 200), RequestRefused, "answers JSON, not XML"),
        (Reply(b"", 405), RequestRefused, "status 405"),
    ],
)
def test_what_is_no_xml_of_the_service_is_recognised_for_what_it_is(
    reply: Reply, kind: type[PortalError], said: str, use: str, method: Method
) -> None:
    failure, served = failed(reply, USES[use], method)
    with pytest.raises(kind, match=said):
        raise failure
    assert served.url in str(failure)
    assert len(served.requests) == 1


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (Reply(b"", 429), QuotaExhausted, "does not say when"),
        (Reply(PAGE, 502, "text/html"), PortalFailure, "status 502; try later"),
        (Reply(b"", 200), PortalFailure, "empty reply"),
        (Reply(b" \n", 200), PortalFailure, "empty reply"),
    ],
)
def test_what_may_pass_is_asked_for_again(reply: Reply, kind: type[PortalError], said: str) -> None:
    failure, served = failed(reply)
    with pytest.raises(kind, match=said):
        raise failure
    assert len(served.requests) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"plain words",
        b"<other/>",
        b"<!DOCTYPE x [<!ENTITY a 'b'>]><WFS_Capabilities version='1.1.0'>&a;</WFS_Capabilities>",
        b"<WFS_Capabilities version='1.1.0'><FeatureTypeList>",
        b"<a>" * 5000,
        b"\x00\x01",
    ],
)
def test_a_document_that_is_none_is_refused_in_one_sentence(body: bytes) -> None:
    for use in ("capabilities", "describe"):
        failure, _ = failed(Reply(body), USES[use])
        assert isinstance(failure, NotAPortal)
        assert "not such a document of a WFS" in str(failure)


def test_xml_that_says_that_it_is_a_page_is_read_all_the_same() -> None:
    body = recorded("mapserver_wfs11_cap.xml").replace(b"ows:Title", b"Title")
    with service(lambda _: Reply(body, type="text/html")) as served:
        assert Wfs(Client(served.url)).capabilities().feature_types


def test_a_login_behind_a_redirect_is_a_web_page() -> None:
    def answer(request):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        if request.path == "/api/wfs":
            return Reply(b"", 302, headers={"Location": "/login/?next=/api/wfs"})
        return Reply(PAGE, 200, "text/html")

    for method in METHODS:
        with service(answer) as served, pytest.raises(NotAPortal, match="web page"):
            read(Wfs(Client(served.url), method=method))


def test_a_body_is_posted_again_where_a_redirect_keeps_it_and_missed_where_it_does_not() -> None:
    fine = b'<wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs"/>'
    for status, kept in [(307, True), (308, True), (301, False), (302, False)]:

        def answer(request, status=status):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            if request.path == "/api/wfs":
                return Reply(b"", status, headers={"Location": "/moved"})
            return Reply(fine)

        with service(answer) as served:
            wfs = Wfs(Client(served.url), method="POST")
            if kept:
                assert read(wfs) == fine
                assert served.requests[0].body == served.requests[1].body
            else:
                with pytest.raises(RequestRefused, match=r"passes POST requests on to .*/moved"):
                    read(wfs)


def test_no_secret_of_the_request_or_the_reply_is_in_an_error() -> None:
    report = recorded("ods_wfs110_exception.xml").replace(
        b"Service must be WFS or CSW.", b"see https://x.test/?apikey=hush and ?access_token=hush"
    )
    with service(lambda _: Reply(report, 400)) as served:
        with pytest.raises(ServiceException) as failure:
            read(Wfs(Client(served.url, ApiKey("hush"))))
        assert served.requests[0].headers["authorization"] == "Apikey hush"
    assert "hush" not in f"{failure.value} {failure.value!r} {failure.value.url}"
