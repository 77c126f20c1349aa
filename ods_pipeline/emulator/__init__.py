"""An emulated portal, over real HTTP: Explore API v2.1, WFS, logins, and verbs that change it.

It shares no code with the client, so that a misreading cannot cancel itself out. Only tests, the
demo and the command line import it.
"""

from ods_pipeline.emulator.emulator import Emulator, serve
from ods_pipeline.emulator.faults.fault import Fault
from ods_pipeline.emulator.quirks import AccessQuirks, Quirks, WfsQuirks

__all__ = ["AccessQuirks", "Emulator", "Fault", "Quirks", "WfsQuirks", "serve"]
