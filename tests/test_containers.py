"""The containers' files agree with the checkout, with each other and with Compose's own schema.

There is no Docker here. What the containers do is done by hand in the tests of real servers.
"""

import itertools
import json
import re
import shlex
import subprocess
from fnmatch import fnmatch
from importlib.metadata import entry_points, requires
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from ods_pipeline.emulator import Emulator
from tests import person
from tests.containers import (
    FOLDER,
    ROOT,
    arguments,
    asked_for,
    compose,
    copied,
    env_of,
    filled,
    instructions,
    named_in,
    services,
    variables,
)

DAGSTER = yaml.safe_load((FOLDER / "dagster.yaml").read_text(encoding="utf-8"))
#: Those that are not of an image that others make.
OURS = {name: one for name, one in services().items() if "build" in one}
PROGRAMS = {entry.name for entry in entry_points(group="console_scripts")}


def test_compose_would_take_its_file() -> None:
    schema = json.loads((ROOT / "tests/fixtures/compose/compose-spec.json").read_bytes())
    Draft7Validator(schema).validate(compose())
    with pytest.raises(Exception, match="restrat"):
        Draft7Validator(schema).validate({"services": {"code": {"restrat": "always"}}})


def test_all_that_the_image_is_made_of_is_in_the_checkout_and_reaches_the_build() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    taken = [line[1:] for line in ignore if line.startswith("!")]
    sources = [source for stage in (0, 1) for source, _ in copied(stage)]
    assert len(sources) > 5
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source in taken
    assert set(taken) == set(sources)


def test_nothing_else_of_the_checkout_reaches_the_build() -> None:
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert rules[0] == "*"
    last = [rule for rule in rules if rule.startswith("**/")]
    assert rules[-len(last) :] == last
    for name in (".env", "portals.env", "__pycache__"):
        assert any(fnmatch(name, rule.removeprefix("**/")) for rule in last)


def test_every_line_that_the_build_runs_is_one_that_a_shell_can_read() -> None:
    lines = [one.text for one in instructions() if one.name == "RUN"]
    assert len(lines) > 1
    for line in lines:
        subprocess.run(["sh", "-n", "-c", line], check=True)


def test_the_image_installs_extras_that_there_are() -> None:
    (line,) = [one.text for one in instructions() if "wheel --no" in one.text]
    assert "[$EXTRAS]" in line
    extras = arguments()["EXTRAS"].split(",")
    told = [one for one in requires("ods-pipeline") or () if "extra ==" in one]
    for extra in extras:
        assert any(f"extra == '{extra}'" in one for one in told), extra
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "\ndagster-postgres==" in constraints
    assert "\npsycopg2-binary==" in constraints


def test_programs_run_as_a_user_without_rights() -> None:
    last = [one for one in instructions() if one.name == "USER"]
    assert [(one.stage, one.text) for one in last] == [(1, "10001")]
    assert any("--uid 10001" in one.text for one in instructions() if one.name == "RUN")
    for name, one in OURS.items():
        assert one["cap_drop"] == ["ALL"], name
    for name, one in services().items():
        assert "no-new-privileges:true" in one["security_opt"], name
        assert not {"privileged", "user", "cap_add", "pid", "ipc"} & set(one), name


@pytest.mark.parametrize("name", OURS)
def test_what_a_service_starts_is_a_program_of_the_image(name: str) -> None:
    commands = [OURS[name]["command"]]
    commands += [OURS[name]["healthcheck"]["test"]] if "healthcheck" in OURS[name] else []
    for command in commands:
        program = shlex.split(command)[0]
        assert program in PROGRAMS | {"python"}, command


def test_dagster_is_given_the_variables_that_its_settings_name() -> None:
    given = set(compose()["x-dagster"]["environment"])
    assert given == env_of(DAGSTER)
    for name in ("code", "webserver", "daemon"):
        assert set(OURS[name]["environment"]) == given
    postgres = services()["postgres"]["environment"]
    asked = compose()["x-dagster"]["environment"]
    for ours, theirs in (("USER", "USER"), ("PASSWORD", "PASSWORD"), ("DB", "DB")):
        assert asked[f"DAGSTER_POSTGRES_{ours}"] == postgres[f"POSTGRES_{theirs}"]


def test_every_other_variable_is_one_that_the_code_reads() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "ods_pipeline").rglob("*.py")
    )
    ours = {
        name for name in variables() | named_in("portals.env.example") if name.startswith("ODS_")
    }
    assert ours == {"ODS_PORTAL", "ODS_API_KEY", "ODS_DATA_DIR"}
    for name in ours:
        assert f'"{name}"' in code
    assert set(variables()) - ours == {"PATH", "PYTHONUNBUFFERED", "DAGSTER_HOME"}


def test_every_variable_of_the_compose_file_stands_in_the_example_of_its_values() -> None:
    example = named_in(".env.example")
    assert set(example) == set(asked_for())
    for name, default in asked_for().items():
        assert example[name] == default


def test_no_password_is_written_down_and_none_is_made_up() -> None:
    for one in services().values():
        for name, value in one.get("environment", {}).items():
            assert "PASSWORD" not in name or value.startswith("${POSTGRES_PASSWORD:?"), name
    with pytest.raises(AssertionError, match=r"copy \.env\.example"):
        filled(services()["postgres"]["environment"]["POSTGRES_PASSWORD"], {})
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {".env", "/deploy/compose/portals.env"} <= set(ignored)


def test_keys_of_portals_are_given_to_the_code_alone() -> None:
    assert [name for name, one in services().items() if "env_file" in one] == ["code"]
    assert services()["code"]["env_file"] == "portals.env"


def test_nothing_but_dagsters_pages_can_be_reached_and_these_from_this_machine_alone() -> None:
    published = {name: one["ports"] for name, one in services().items() if "ports" in one}
    assert {name: filled(port, {}) for name, (port,) in published.items()} == {
        "webserver": "127.0.0.1:3000:3000"
    }


def test_a_service_is_started_after_those_that_it_needs() -> None:
    order = ["postgres", "code", "webserver", "daemon"]
    for before, after in itertools.pairwise(order):
        assert services()[after]["depends_on"] == {before: {"condition": "service_healthy"}}
        assert "healthcheck" in services()[before]
    assert all(one["restart"] == "unless-stopped" for one in services().values())


def test_what_is_written_is_on_volumes_and_these_belong_to_the_user() -> None:
    made = next(one.text for one in instructions() if "--owner" in one.text).split()
    used = {volume for one in services().values() for volume in one.get("volumes", ())}
    named = {one.partition(":")[0] for one in used if not one.startswith("./")}
    assert named == set(compose()["volumes"])
    for folder in ("/srv/data", "/srv/state"):
        assert folder in made
    kept = [
        DAGSTER[part]["config"]["base_dir"] for part in ("local_artifact_storage", "compute_logs")
    ]
    assert all(place.startswith("/srv/state/") for place in kept)
    assert variables()["ODS_DATA_DIR"] == "/srv/data"
    for bound in (one for one in used if one.startswith("./")):
        source, target, mode = bound.split(":")
        assert mode == "ro"
        assert (FOLDER / source).is_dir()
        assert ("deploy/compose/project", "/srv/project") in copied(1)
        assert target == source.replace("./project", "/srv/project")


def test_the_web_server_and_the_daemon_look_for_the_code_where_it_is_served() -> None:
    (entry,) = yaml.safe_load((FOLDER / "workspace.yaml").read_text())["load_from"]
    served = shlex.split(services()["code"]["command"])
    assert services()[entry["grpc_server"]["host"]]
    assert str(entry["grpc_server"]["port"]) == served[served.index("--port") + 1]
    for name in ("webserver", "daemon"):
        words = shlex.split(services()[name]["command"])
        assert words[words.index("--workspace") + 1] == "/srv/dagster/workspace.yaml"
    assert ("deploy/compose/workspace.yaml", "/srv/dagster/") in copied(1)


def test_dagster_queues_retries_and_forgets_as_in_the_checkout() -> None:
    checkout = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    for part in ("telemetry", "nux", "concurrency", "run_queue", "run_retries", "retention"):
        assert DAGSTER[part] == checkout[part], part
    assert DAGSTER["run_monitoring"]["enabled"]
    assert DAGSTER["run_monitoring"]["max_runtime_seconds"] > 0
    assert set(DAGSTER) == set(checkout)


def test_the_pool_of_a_killed_run_is_given_back() -> None:
    for folder in (ROOT, FOLDER):
        told = yaml.safe_load((folder / "dagster.yaml").read_text(encoding="utf-8"))
        assert told["run_monitoring"]["enabled"]
        assert told["run_monitoring"]["free_slots_after_run_end_seconds"] > 0


def test_an_image_that_is_built_from_the_same_checkout_is_of_one_python() -> None:
    bases = {one.text.split()[0] for one in instructions() if one.name == "FROM"}
    assert bases == {"python:3.13-slim"}


def test_the_project_has_the_portals_that_its_folders_name() -> None:
    folder = FOLDER / "project" / "portals"
    for path in folder.glob("defs/*/defs.yaml"):
        assert yaml.safe_load(path.read_text())["type"] == "ods_pipeline.OpendatasoftPortal"
    assert Path(folder / "definitions.py").is_file()


PAGE = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
TYPED = re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE)
#: What the page types at Compose, and whether names of services follow.
VERBS = {"up", "down", "ps", "restart", "exec", "run", "cp", "stop", "start", "build"}


def test_every_command_of_the_page_is_for_docker_or_for_a_shell_in_the_folder() -> None:
    for command in TYPED:
        program, *words = shlex.split(command)
        if program == "cd":
            assert (ROOT / words[0]).samefile(FOLDER)
        elif program == "cp":
            assert (FOLDER / words[0]).is_file()
        elif program == "chmod":
            assert {name + ".example" for name in words[1:]} <= {p.name for p in FOLDER.iterdir()}
        elif program == "docker":
            assert words[0] == "compose"
            assert VERBS & set(words), command
        else:
            assert command == "git pull"


def test_every_service_of_the_page_is_one_of_the_file() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert named == set(services())
    for command in TYPED:
        words = shlex.split(command)
        if words[0] == "docker" and {"stop", "start", "restart"} & set(words):
            assert set(words[3:]) <= named, command
        if profile := re.search(r"--profile (\w+)", command):
            assert services()[profile[1]]["profiles"] == [profile[1]]


def inside() -> list[list[str]]:
    """What is typed in a container: the words after the service's name."""
    found = []
    for command in TYPED:
        words = shlex.split(command.partition(" > ")[0].partition(" < ")[0])
        if {"exec", "run"} & set(words):
            at = next(number for number, word in enumerate(words) if word in services())
            found.append(words[at:])
    return found


def test_what_is_typed_in_a_container_is_a_program_that_it_has() -> None:
    programs = {"postgres": {"pg_dump", "pg_restore"}, "code": {"ods-pipeline", "tar"}}
    assert len(inside()) > 6
    for service, program, *_ in inside():
        assert program in programs.get(service, {"dagster"}), (service, program)
    backup = [words for _, *words in inside() if words[0] == "tar"]
    folders = {Path(mounted.split(":")[1]).name for mounted in services()["code"]["volumes"][:2]}
    assert folders == {"data", "state"} == set(backup[0][-2:])


def test_the_commands_of_ours_that_are_typed_in_the_container_work(tmp_path: Path) -> None:
    typed = [words[2:] for words in inside() if words[1] == "ods-pipeline" and "login" not in words]
    assert len(typed) > 2
    with Emulator() as portal:
        settings = {"ODS_PORTAL": portal.url, "ODS_DATA_DIR": str(tmp_path / "data")}
        for words in (["sync", "public-art"], *typed):
            done = person.typed(tmp_path, *words, **settings)
            assert done.returncode == 0, (words, done.stderr)


def test_what_the_page_says_of_waiting_is_what_the_files_say() -> None:
    assert "up to ten minutes" in PAGE
    assert services()["code"]["stop_grace_period"] == "10m"
    assert "until four hours\nhave passed" in PAGE
    assert DAGSTER["run_monitoring"]["max_runtime_seconds"] == 4 * 3600
    assert services()["postgres"]["image"] == "postgres:17"
    assert "stays at 17" in PAGE
    assert re.search(r"^ODS_PORTAL=.*\nODS_API_KEY=", PAGE, re.MULTILINE)
