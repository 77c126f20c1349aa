"""A portal in a box: Explore API v2.1 and WFS over real HTTP, with verbs that make time pass.

It shares no code with the client, so that a misreading cannot cancel itself out; only tests, the
demo and the command line import it.
"""

from ods_pipeline.emulator.emulator import Emulator, serve
from ods_pipeline.emulator.faults.fault import Fault
from ods_pipeline.emulator.quirks import AccessQuirks, Quirks, WfsQuirks

__all__ = ["AccessQuirks", "Emulator", "Fault", "Quirks", "WfsQuirks", "serve"]
