"""Where the access control of real portals is not known: the choices; others act on them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AccessQuirks:
    """How this portal treats callers where neither documents nor recordings say.

    Datasets and the portal.
    ``hidden``: a private dataset asked for by its identifier answers ``404`` or ``403``.
    ``private``: a private portal answers strangers ``401``, or sends them to the ``login`` page.

    Keys.
    ``wrong_key``: ``401``, ``403``, or the caller is taken for ``anonymous``.
    ``tells``: whether the message says unknown, revoked or expired.
    ``anonymous_quota``: strangers who spent theirs read the text about anonymous users.

    OAuth2.
    ``expired``: an expired or unknown bearer answers ``401``, with the ``login`` page (200), or
    the caller is taken for ``anonymous``.
    ``slash``: addresses without the trailing slash ``redirect`` or are ``404``.
    ``echoes_state``: the token reply repeats the ``state`` of its request.
    ``invalid_grant_status``: 400 or 401.
    ``rotates``: each refresh gives a new refresh token; else the old one stays good.
    ``revokes_old_access``: a refresh ends the access tokens of before.
    ``reuse_revokes_family``: a spent refresh token shown again ends all of its grant.
    """

    hidden: str = "404"
    private: str = "401"
    wrong_key: str = "401"
    tells: bool = False
    anonymous_quota: bool = False
    expired: str = "401"
    slash: str = "redirect"
    echoes_state: bool = True
    invalid_grant_status: int = 400
    rotates: bool = True
    revokes_old_access: bool = False
    reuse_revokes_family: bool = False

    def __post_init__(self) -> None:
        """Refuse a choice that there is not."""
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is one of {', '.join(map(str, choices))}")


CHOICES: dict[str, tuple[object, ...]] = {
    "hidden": ("404", "403"),
    "private": ("401", "login"),
    "wrong_key": ("401", "403", "anonymous"),
    "expired": ("401", "login", "anonymous"),
    "slash": ("redirect", "404"),
    "invalid_grant_status": (400, 401),
}
