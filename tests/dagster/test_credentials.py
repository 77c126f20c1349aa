"""Credentials in Dagster: given by the names of variables, read when needed, shown nowhere."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from ods_pipeline.dagster.build import build_defs
from ods_pipeline.dagster.component import OpendatasoftPortal
from ods_pipeline.dagster.credentials import OAuth2Resource
from ods_pipeline.dagster.resources import PortalResource
from ods_pipeline.dagster.settings import Settings
from ods_pipeline.emulator import Emulator
from ods_pipeline.errors import ConfigurationError
from ods_pipeline.portal.auth import OAuth2
from ods_pipeline.portal.auth.grant import Grant
from ods_pipeline.portal.http.address import Address
from tests.dagster.world import World, publish, reason, settings_for, world

pytestmark = pytest.mark.filterwarnings(
    # Dagster's own calls, as in the tests beside this one; they go when it no longer warns.
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning",
    "ignore:.parse_obj_as. is deprecated:DeprecationWarning",
    "ignore::dagster.BetaWarning",
)
KEY, SECRET = "0123key-of-the-robot", "secret-of-the-application"
BY_KEY = {"api_key": dg.EnvVar("A_KEY")}
BY_LOGIN = {
    "oauth2": OAuth2Resource(client_id="the-app", client_secret=dg.EnvVar("A_SECRET")),
}
EITHER = pytest.mark.parametrize("credentials", [BY_KEY, BY_LOGIN], ids=["key", "login"])


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ODS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("A_KEY", KEY)
    monkeypatch.setenv("A_SECRET", SECRET)


@pytest.fixture
def private(portal: Emulator) -> Emulator:
    """A portal with one dataset that nobody but its staff sees."""
    portal.add_user("robot", "password")
    portal.add_key(KEY, "robot")
    portal.add_application("the-app", SECRET, "http://127.0.0.1:8766/callback")
    publish(portal, "trees", "staff")
    portal.hide("staff")
    return portal


def log_in(portal: Emulator, folder: Path, client_id: str = "the-app") -> None:
    """Keep a login where the resources look for it."""
    resource = PortalResource(
        address=portal.url, oauth2=OAuth2Resource(client_id=client_id), data_dir=str(folder)
    )
    credentials, address = resource.credentials(), Address.parse(portal.url)
    assert isinstance(credentials, OAuth2)
    told, now = portal.issue("robot", client_id), portal.now()
    credentials.store(address).save(
        Grant(
            portal=address.base,
            client_id=client_id,
            access_token=told["access_token"],
            refresh_token=told["refresh_token"],
            obtained_at=now,
            expires_at=now + told["expires_in"],
            logged_in_at=now,
        )
    )


def shown(portal: Emulator) -> set[str]:
    """The kinds of credentials in the requests for data."""
    sent = [r for r in portal.requests if r.path.startswith("/api/")]
    return {r.headers.get("authorization", "none").partition(" ")[0] for r in sent}


@EITHER
def test_either_kind_lands_what_nobody_else_sees(
    tmp_path: Path, private: Emulator, credentials: dict[str, Any]
) -> None:
    log_in(private, tmp_path)
    with world(tmp_path, private, **credentials) as there:
        there.look()
        assert there.partitions == {"trees", "staff"}
        assert there.run("records", "table", over="staff").success
        assert there.run("catalog").success
        assert there.sync(mode="full").success
    assert shown(private) == {"Apikey" if credentials is BY_KEY else "Bearer"}


def test_a_login_that_runs_out_is_renewed_between_runs(tmp_path: Path, private: Emulator) -> None:
    log_in(private, tmp_path)
    with world(tmp_path, private, **BY_LOGIN) as there:
        there.look()
        for _ in range(3):
            private.expire_access_tokens()
            assert there.run("records", over="staff").success
    assert [renewal.outcome for renewal in private.renewals] == ["renewed"] * 3


def test_without_credentials_a_private_dataset_is_not_there(
    tmp_path: Path, private: Emulator
) -> None:
    with world(tmp_path, private) as there:
        there.look()
        assert there.partitions == {"trees"}
    assert shown(private) == {"none"}


@pytest.mark.parametrize("lacking", ["unset", "empty"])
@pytest.mark.parametrize("credentials", [BY_KEY, BY_LOGIN], ids=["A_KEY", "A_SECRET"])
def test_a_variable_without_a_value_is_named_in_a_sentence(
    tmp_path: Path,
    private: Emulator,
    credentials: dict[str, Any],
    lacking: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("A_KEY", "A_SECRET"):
        monkeypatch.setenv(name, " ") if lacking == "empty" else monkeypatch.delenv(name)
    with world(tmp_path, private, **credentials) as there:
        told = in_every_way(there)
    name, state = ("A_KEY" if credentials is BY_KEY else "A_SECRET"), "not set"
    assert len(set(told)) == 1
    assert f"variable {name}, which is {state if lacking == 'unset' else 'empty'}" in told[0]
    assert not private.requests


def in_every_way(there: World) -> list[str]:
    """The sentence that a tick, a run and the job end with, where none of them can work."""
    there.instance.add_dynamic_partitions(there.settings.partitions.name or "", ["staff"])
    runs = [
        there.run("records", over="staff", raise_on_error=False),
        there.run("catalog", raise_on_error=False),
        there.sync(),
    ]
    with pytest.raises(dg.Failure) as tick:
        there.look()
    return [str(tick.value.description), *map(reason, runs)]


def no_login(portal: Emulator, folder: Path) -> None:
    """Nobody has logged in."""


def refused_login(portal: Emulator, folder: Path) -> None:
    """A login that was withdrawn since."""
    log_in(portal, folder)
    portal.revoke_logins()


def wrong_key(portal: Emulator, folder: Path) -> None:
    """A key that was taken away."""
    portal.revoke_key(KEY)


@pytest.mark.parametrize(
    ("credentials", "happened", "told"),
    [
        (BY_LOGIN, no_login, "run `ods-pipeline login`"),
        (BY_LOGIN, refused_login, "run `ods-pipeline login` once more"),
        (BY_KEY, wrong_key, "make a new one on your account page"),
    ],
    ids=["nobody logged in", "withdrawn", "revoked"],
)
def test_what_the_portal_refuses_ends_ticks_and_runs_in_a_sentence(
    tmp_path: Path,
    private: Emulator,
    credentials: dict[str, Any],
    happened: Callable[[Emulator, Path], None],
    told: str,
) -> None:
    happened(private, tmp_path)
    with world(tmp_path, private, **credentials) as there:
        sentences = in_every_way(there)
    for sentence in sentences:
        assert told in sentence
        assert "\n" not in sentence
        assert KEY not in sentence


def test_portals_with_different_credentials_share_a_code_location(
    tmp_path: Path, private: Emulator
) -> None:
    with Emulator(sample=False) as other:
        other.add_user("robot", "password")
        other.add_application("the-app", SECRET, "http://127.0.0.1:8766/callback")
        publish(other, "roads")
        log_in(other, tmp_path)
        merged = dg.Definitions.merge(
            build_defs(of(private, tmp_path, name="first", **BY_KEY)),
            build_defs(of(other, tmp_path, name="second", **BY_LOGIN)),
        )
        with dg.DagsterInstance.ephemeral() as instance:
            for name in ("first", "second"):
                job = merged.resolve_job_def(f"{name}_sync")
                assert job.execute_in_process(instance=instance).success
        assert (shown(private), shown(other)) == ({"Apikey"}, {"Bearer"})
        first, second = str(private.requests), str(other.requests)
    assert KEY in first
    assert KEY not in second
    assert "Bearer" not in first


def of(portal: Emulator, folder: Path, **values: Any) -> Settings:
    return settings_for(portal.url, data_dir=str(folder), **values)


def test_a_key_goes_into_the_query_only_where_asked_for(tmp_path: Path, private: Emulator) -> None:
    with world(tmp_path, private, api_key_in_query=True, **BY_KEY) as there:
        there.look()
    assert shown(private) == {"none"}
    assert all(("apikey", KEY) in request.pairs for request in private.requests)


def test_an_application_is_set_up_in_every_detail(
    tmp_path: Path, private: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AN_ID", "the-app")
    monkeypatch.setenv("A_FILE", str(tmp_path / "elsewhere.json"))
    login = OAuth2Resource(
        client_id=dg.EnvVar("AN_ID"),
        client_secret=dg.EnvVar("A_SECRET"),
        token_file=dg.EnvVar("A_FILE"),
        client_auth="basic",
        placement="query",
    )
    resource = PortalResource(address=private.url, oauth2=login)
    credentials, address = resource.credentials(), Address.parse(private.url)
    assert isinstance(credentials, OAuth2)
    assert credentials.store(address).where == str(tmp_path / "elsewhere.json")
    log_in(private, tmp_path)
    (kept,) = (tmp_path / "tokens").glob("*.json")
    private.expire_access_tokens()
    kept.rename(tmp_path / "elsewhere.json")
    assert len(resource.portal.datasets()) == 2
    renewal = next(r for r in private.requests if r.path == "/oauth2/token/")
    assert renewal.headers["authorization"].startswith("Basic ")
    assert "access_token" in dict(private.requests[-1].pairs)


WRITTEN_OUT: list[Callable[[], Any]] = [
    lambda: PortalResource(address="a.test", api_key=KEY),
    lambda: PortalResource(address="a.test", api_key=os.environ["A_KEY"]),
    lambda: PortalResource(address="a.test", api_key={"env": "A_KEY", "value": KEY}),
    lambda: PortalResource(address="a.test", api_key=[KEY]),
    lambda: PortalResource(address="a.test", api_key=dg.EnvVar(KEY)),
    lambda: PortalResource(address="a.test", api_key={"env": "abcdef0123" * 5}),
    lambda: OAuth2Resource(client_id="a", client_secret=KEY),
    lambda: OAuth2Resource(client_id="a", client_secret={"text": KEY}),
    lambda: PortalResource(address="a.test", oauth2={"client_id": "a", "client_secret": KEY}),
    lambda: OAuth2Resource(client_id="a", token_file=f"postgresql://me:{KEY}@host/db"),
    lambda: OAuth2Resource(client_id="a", token_file=f"postgresql://host/db?password={KEY}"),
    lambda: OAuth2Resource(client_id="a", token_file={"text": f"postgresql://me:{KEY}@host/db"}),
    lambda: OAuth2Resource(client_id="a", token_file=f"postgresql://[{KEY}"),
    lambda: settings_for("a.test", api_key=KEY),
]


@pytest.mark.parametrize("make", WRITTEN_OUT, ids=range(len(WRITTEN_OUT)))
def test_a_secret_that_is_written_out_is_refused_before_anything_holds_it(
    make: Callable[[], Any],
) -> None:
    with pytest.raises(
        ConfigurationError, match=r"env(ironment)? variable|\{env: NAME\}"
    ) as caught:
        make()
    assert KEY not in f"{caught.value!r} {caught.value.__cause__} {caught.value.__context__}"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({**BY_KEY, **BY_LOGIN}, "a.test is given both an api_key and oauth2"),
        ({"oauth2": {}}, "oauth2 needs the client_id"),
        ({"oauth2": "the-app"}, "oauth2 is a block of these attributes: client_id"),
        ({"oauth2": {"client_id": "a", "clientsecret": KEY}}, "a block of these attributes"),
        ({"oauth2": {"client_id": "a", "placement": KEY}}, "placement: Input should be 'header'"),
        ({"api_key": {"env": "not a name"}}, "api_key is not to be written out"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        PortalResource(address="a.test", **values)
    assert KEY not in str(caught.value)


def test_pydantic_quotes_no_secret_in_the_wrong_place() -> None:
    with pytest.raises(Exception, match="read_timeout") as caught:
        PortalResource(address="a.test", read_timeout=KEY)
    assert KEY not in str(caught.value)


@EITHER
def test_a_resource_holds_names_before_and_after_use(
    tmp_path: Path, private: Emulator, credentials: dict[str, Any]
) -> None:
    log_in(private, tmp_path)
    resource = PortalResource(address=private.url, data_dir=str(tmp_path), **credentials)
    names = "A_KEY" if credentials is BY_KEY else "A_SECRET"
    for _ in range(2):
        for text in (repr(resource), str(resource), resource.model_dump_json()):
            assert names in text
            assert KEY not in text
            assert SECRET not in text
        assert len(resource.portal.datasets()) == 2


def test_dagster_knows_which_variables_a_portal_needs(tmp_path: Path, private: Emulator) -> None:
    with world(tmp_path, private, **BY_LOGIN) as there:
        used = there.repository.get_env_vars_by_top_level_resource()
    assert used == {"A_SECRET": {"portal_demo"}}


@pytest.mark.parametrize("key", [KEY, {"env": "A_KEY", "value": KEY}, {"key": KEY}], ids=str)
def test_a_secret_in_run_config_is_refused_before_there_is_a_run(there: World, key: object) -> None:
    config = {"address": there.portal.url, "api_key": key}
    job = there.repository.get_job(there.settings.named("sync"))
    with pytest.raises(dg.DagsterInvalidConfigError, match="config:api_key") as caught:
        job.execute_in_process(
            instance=there.instance,
            run_config={"resources": {there.settings.resource("portal"): {"config": config}}},
        )
    assert KEY not in str(caught.value)
    assert there.instance.get_runs_count() == 0


def test_run_config_may_name_another_variable(there: World) -> None:
    there.portal.add_user("robot", "password")
    there.portal.add_key(KEY, "robot")
    publish(there.portal, "trees")
    config = {"address": there.portal.url, "api_key": {"env": "A_KEY"}}
    result = there.repository.get_job(there.settings.named("sync")).execute_in_process(
        instance=there.instance,
        run_config={
            "resources": {
                there.settings.resource("portal"): {"config": config},
                there.settings.resource("lake"): {
                    "config": {
                        "portal": there.settings.slug,
                        "data_dir": there.settings.attributes.data_dir,
                    }
                },
            }
        },
    )
    assert result.success
    assert shown(there.portal) == {"Apikey"}


def test_a_block_of_yaml_names_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AN_ID", "abc")
    keyed = loaded({"api_key": {"env": "ODS_API_KEY"}, "api_key_in_query": True})
    assert (keyed.api_key and keyed.api_key.env, keyed.attributes.api_key_in_query) == (
        "ODS_API_KEY",
        True,
    )
    oauth2 = {
        "client_id": "{{ env.AN_ID }}",
        "client_secret": {"env": "A_SECRET"},
        "token_file": {"env": "ODS_TOKEN_FILE"},
        "client_auth": "basic",
        "placement": "query",
    }
    login = loaded({"oauth2": oauth2}).oauth2
    assert login == OAuth2Resource(
        client_id="abc",
        client_secret=dg.EnvVar("A_SECRET"),
        token_file=dg.EnvVar("ODS_TOKEN_FILE"),
        client_auth="basic",
        placement="query",
    )
    named = loaded({"oauth2": {"client_id": {"env": "AN_ID"}, "token_file": "login.json"}}).oauth2
    assert named == OAuth2Resource(client_id=dg.EnvVar("AN_ID"), token_file="login.json")
    assert loaded({"oauth2": {"client_id": 42}}).oauth2 == OAuth2Resource(client_id="42")


def loaded(attributes: dict[str, Any]) -> Settings:
    """What a block of YAML comes to, loaded as Dagster does."""
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=OpendatasoftPortal,
            defs_yaml_contents={
                "type": "ods_pipeline.OpendatasoftPortal",
                "attributes": {"portal": "data.test", **attributes},
            },
        )
        with sandbox.load_component_and_build_defs(path) as (component, defs):
            assert isinstance(component, OpendatasoftPortal)
            resource = (defs.resources or {})["portal_data_test"]
            settings = component.settings()
            assert (resource.api_key, resource.oauth2) == (settings.api_key, settings.oauth2)
            return settings


@pytest.mark.parametrize(
    ("attributes", "attribute"),
    [
        ({"api_key": KEY}, "api_key"),
        ({"api_key": "{{ env.A_KEY }}"}, "api_key"),
        ({"api_key": {"env": "{{ env.A_KEY }}"}}, "api_key"),
        ({"api_key": {"envv": KEY}}, "api_key"),
        ({"api_key": [KEY]}, "api_key"),
        ({"oauth2": {"client_id": "a", "client_secret": KEY}}, "client_secret"),
        ({"oauth2": {"client_id": "a", "client_secret": "{{ env.A_KEY }}"}}, "client_secret"),
        ({"oauth2": {"client_id": "a", "secret": KEY}}, "oauth2"),
        ({"oauth2": {"client_id": "a", "placement": KEY}}, "placement"),
        ({"oauth2": f"{KEY}"}, "oauth2"),
        (
            {"oauth2": {"client_id": "a", "token_file": "postgresql://me:{{ env.A_KEY }}@h/d"}},
            "token_file",
        ),
    ],
    ids=str,
)
def test_a_secret_in_yaml_is_refused_by_the_name_of_its_attribute(
    attributes: dict[str, Any], attribute: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exception, match="Error while building definitions") as caught:
        loaded(attributes)
    told: list[str] = []
    error: BaseException | None = caught.value
    while error:
        told.append(f"{error!r}")
        error = error.__cause__ or error.__context__
    assert any("ConfigurationError" in text and attribute in text for text in told)
    assert KEY not in " ".join([*told, *capfd.readouterr()])


def test_the_demo_takes_portal_and_credentials_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ODS_CLIENT_ID", "ODS_CLIENT_SECRET", "ODS_TOKEN_FILE", "ODS_API_KEY"):
        monkeypatch.setenv(name, "x")
    sample = settings_for()
    assert (sample.api_key, sample.oauth2) == (None, None)
    monkeypatch.setenv("ODS_PORTAL", "data.test")
    with pytest.raises(ConfigurationError, match="unset one of them"):
        settings_for()
    monkeypatch.setenv("ODS_CLIENT_ID", "")
    assert settings_for().api_key
    assert settings_for().oauth2 is None
    monkeypatch.setenv("ODS_CLIENT_ID", "x")
    monkeypatch.setenv("ODS_API_KEY", "")
    assert settings_for().oauth2 == OAuth2Resource(
        client_id=dg.EnvVar("ODS_CLIENT_ID"),
        client_secret=dg.EnvVar("ODS_CLIENT_SECRET"),
        token_file=dg.EnvVar("ODS_TOKEN_FILE"),
    )
    own = settings_for("data.test")
    assert (own.api_key, own.oauth2) == (None, None)
    chosen = settings_for(api_key=dg.EnvVar("A_KEY"))
    assert (chosen.api_key and chosen.api_key.env, chosen.oauth2) == ("A_KEY", None)


def test_the_schema_of_the_block_teaches_how_to_give_credentials() -> None:
    schema = OpendatasoftPortal.model().model_json_schema()["properties"]
    assert "never the key itself" in schema["api_key"]["description"]
    assert schema["api_key"]["examples"] == [{"env": "ODS_API_KEY"}]
    assert "ods-pipeline login" in schema["oauth2"]["description"]
    for name, attribute in schema["oauth2"]["properties"].items():
        assert attribute["description"], name
