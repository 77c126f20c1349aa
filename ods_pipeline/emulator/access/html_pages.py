"""The HTML pages of login, consent and refusal, and redirects to them.

What a form does is decided elsewhere. Tests find the parts of a page by their ids.
"""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from ods_pipeline.emulator.faults.fault import HTML
from ods_pipeline.emulator.http.reply import COMMON_HEADERS, Reply

LOGIN = "/login/"
FRAME = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
    "<body><h1>{title}</h1>\n{body}\n</body></html>\n"
)


def page(title: str, body: str, status: int = 200, *more: tuple[str, str]) -> Reply:
    """A page; the body is HTML already."""
    document = FRAME.format(title=escape(title), body=body)
    return Reply(status, [document.encode()], HTML, (*more, *COMMON_HEADERS), True, False)


def redirect(address: str, *more: tuple[str, str], status: int = 302) -> Reply:
    """A redirect to another address."""
    return Reply(status, [], HTML, (("location", address), *more, *COMMON_HEADERS), True, False)


def to_login(target: str) -> Reply:
    """A redirect to the login page, which leads back to a path with its query."""
    return redirect(f"{LOGIN}?next={quote(target)}")


def login(after: str, problem: str = "") -> Reply:
    """The login form, with what was wrong the last time."""
    message = f'<p id="problem" role="alert">{escape(problem)}</p>\n' if problem else ""
    body = (
        f'{message}<form method="post" action="{LOGIN}">\n'
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
    """Asks a user for consent; the form is sent to the address of this page."""
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
    """An error page, where there is no application to redirect to."""
    return page("This cannot be done", f'<p id="problem">{escape(problem)}</p>', status)
