"""`login`, `logout`, `whoami`: the commands about the user's account on a portal.

OAuth2 itself belongs to `portal`.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import click

from ods_pipeline.cli import everywhere
from ods_pipeline.cli.commands import status_of
from ods_pipeline.cli.target import Target, Targets
from ods_pipeline.errors import ConfigurationError, OdsPipelineError

if TYPE_CHECKING:
    from ods_pipeline.portal.auth.store import TokenStore
    from ods_pipeline.portal.http.address import Address

#: The redirection URL to register an application with, unless it has another.
REDIRECT_URI = "http://127.0.0.1:8766/callback"


def _address(target: Target) -> Address:
    """The portal that was named; the sample portal is not taken by default, as elsewhere."""
    from ods_pipeline.portal.http.address import Address

    if target.sample:
        raise ConfigurationError("ODS_PORTAL is not set: name the portal of your account")
    return Address.parse(target.portal)


@everywhere.command
@click.option(
    "--redirect-uri",
    default=REDIRECT_URI,
    show_default=True,
    metavar="URL",
    help="The redirection URL that the application is registered with.",
)
@click.option("--no-browser", is_flag=True, help="Open none; the address can be opened elsewhere.")
@click.option(
    "--timeout",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the consent.",
)
@click.option("--pkce", is_flag=True, help="Add a proof key, for portals that ask for one.")
@click.option(
    "--client-auth",
    type=click.Choice(["body", "basic"]),
    help="How the application proves itself to the portal.  [default: body]",
)
@click.pass_obj
def login(
    targets: Targets,
    redirect_uri: str,
    no_browser: bool,
    timeout: int,
    pkce: bool,
    client_auth: Literal["body", "basic"] | None,
) -> None:
    """Let an application of yours read a portal in your name.

    Opens the portal's consent page and keeps the login that comes of it; the login renews itself.
    Needs ODS_PORTAL, ODS_CLIENT_ID and, as a rule, ODS_CLIENT_SECRET. Register the application on
    the portal's account page, under "My applications", with exactly the redirection URL that
    --redirect-uri names.

    On a server without a screen add --no-browser: open the address that is printed on your own
    machine, then paste the address where the browser ends.
    """
    from ods_pipeline.cli.login import log_in
    from ods_pipeline.cli.loopback import listen_address

    target = targets.one
    listen_at, address = listen_address(redirect_uri), _address(target)
    application = target.access.application(
        address, target.data_dir, target.state, client_auth=client_auth, pkce=pkce
    )
    store, began = application.store(address), time.time()
    try:
        consent = application.consent(address, redirect_uri)
        log_in(consent, address.base, listen_at, browser=not no_browser, timeout=timeout)
    except KeyboardInterrupt as stop:
        _ended_unless_kept(store, began, status_of(stop))
    click.echo(
        f"Logged in to {address.base} as application {application.client_id}; the login is kept in "
        f"{store.where} and renews itself; check with ods-pipeline whoami"
    )
    if target.access.api_key:
        click.echo(
            "ODS_API_KEY is set as well: unset it, or no command knows which of the two to use",
            err=True,
        )


def _ended_unless_kept(store: TokenStore, began: float, status: int) -> None:
    """End here, unless a login has been stored since."""
    message = "`ods-pipeline whoami` says whether a login was stored"
    with suppress(OdsPipelineError, KeyboardInterrupt):
        kept = store.load()
        if kept and kept.logged_in_at >= began:
            return
        message = "no login was stored"
    click.echo(f"\nods-pipeline: interrupted; {message}", err=True)
    if sys.stderr:
        sys.stderr.flush()
    # An exchange that may still be running must not store one now.
    os._exit(status)


@everywhere.command
@click.pass_obj
def logout(targets: Targets) -> None:
    """Forget the login that `ods-pipeline login` has kept.

    The portal is not told: the documents name no way to. The consent itself is withdrawn on the
    portal's account page.
    """
    target = targets.one
    address = _address(target)
    application = target.access.application(address, target.data_dir, target.state)
    store = application.store(address)
    whose = f"application {application.client_id} at {address.base}"
    if not store.forget():
        click.echo(f"Nothing to forget: no login of {whose} is kept in {store.where}")
        return
    click.echo(
        f"Forgot the login of {whose}, which was kept in {store.where}; to withdraw the consent as "
        f"well, remove the application's access on your account page at {address.base}"
    )


@everywhere.command
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def whoami(targets: Targets, as_json: bool) -> None:
    """Say whom the portal takes you for, and until when.

    Shows the kind of credentials, where a login is kept, and how many datasets the portal shows
    with them and to anybody. Costs two requests.
    """
    import json

    from ods_pipeline.cli import report

    target = targets.one
    with report.errors_as_json(as_json):
        if not target.access.given and not target.access.api_key_in_query:
            nobody = {"portal": target.portal or None, "credentials": None}
            message = "no credentials are set; public datasets need none"
            click.echo(json.dumps(nobody) if as_json else message)
            return
        from ods_pipeline.cli.whoami import identify
        from ods_pipeline.portal.portal import Portal

        address = _address(target)
        credentials = target.access.credentials(address, target.data_dir, target.state)
        assert credentials is not None  # noqa: S101
        portal = Portal(address.base, credentials, state=target.state)
        identity = identify(portal, credentials)
        click.echo(json.dumps(identity.as_dict(), indent=2) if as_json else str(identity))
