"""Where Debian puts the map servers; not all of them are on the PATH of a shell."""

import shutil
from pathlib import Path

CGI = Path("/usr") / "lib" / "cgi-bin"


def found(program: str) -> str:
    """The path of a map server's program."""
    path = shutil.which(program) or shutil.which(program, path=str(CGI))
    assert path, f"the map server tests need {program}: `make test-servers` installs it"
    return path
