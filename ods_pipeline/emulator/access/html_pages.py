"""The pages that a person sees: login, consent, refusal; the ids in them stay as they are."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from ods_pipeline.emulator.faults.fault import HTML
from ods_pipeline.emulator.http.reply import COMMON, Reply

LOGIN = "/login/"
FRAME = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
    "<body><h1>{title}</h1>\n{body}\n</body></html>\n"
)


def page(title: str, body: str, status: int = 200, *more: tuple[str, str]) -> Reply:
    """A page; the body is HTML already."""
    document = FRAME.format(title=escape(title), body=body)
    return Reply(status, [document.encode()], HTML, (*more, *COMMON), True, False)


def redirect(address: str, *more: tuple[str, str], status: int = 302) -> Reply:
    """On to another address."""
    return Reply(status, [], HTML, (("location", address), *more, *COMMON), True, False)


def to_login(target: str) -> Reply:
    """To the login page, and from there back to a path with its query."""
    return redirect(f"{LOGIN}?next={quote(target)}")


def login(after: str, problem: str = "") -> Reply:
    """The form; it says what was wrong the last time."""
    told = f'<p id="problem" role="alert">{escape(problem)}</p>\n' if problem else ""
    body = (
        f'{told}<form method="post" action="{LOGIN}">\n'
        f'<input type="hidden" name="next" value="{escape(after)}">\n'
        '<label for="id_username">User name</label>'
        ' <input id="id_username" name="username" autocomplete="username" required autofocus>\n'
        '<label for="id_password">Password</label>'
        ' <input id="id_password" name="password" type="password"'
        ' autocomplete="current-password" required>\n'
        '<button id="login" type="submit">Log in</button>\n</form>'
    )
    return page("Log in", body)


def consent(application: str, user: str, csrf: str) -> Reply:
    """Asks whether the application may; the form goes back to the address that showed it."""
    body = (
        f'<p><strong id="application">{escape(application)}</strong> asks to see what'
        f' <span id="user">{escape(user)}</span> may see on this portal.</p>\n'
        '<form method="post">\n'
        f'<input type="hidden" name="csrfmiddlewaretoken" value="{escape(csrf)}">\n'
        '<button id="allow" type="submit" name="decision" value="allow">Allow</button>\n'
        '<button id="deny" type="submit" name="decision" value="deny">Deny</button>\n</form>'
    )
    return page("Allow access?", body)


def refusal(problem: str, status: int = 400) -> Reply:
    """Where there is no address to go back to."""
    return page("This cannot be done", f'<p id="problem">{escape(problem)}</p>', status)
