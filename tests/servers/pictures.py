"""Makes the pictures of Dagster in `docs/images`: `python -m tests.servers.pictures`.

They are the real pages of the sample portal, cropped. What is to be on the pages is held by tests.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from ods_pipeline.emulator import Emulator
from tests.servers.dev import copied, developed
from tests.servers.installed import installed
from tests.servers.pages import Pages, chromium
from tests.servers.project import ROOT, running

IMAGES = ROOT / "docs" / "images"
BORDERS = "world-administrative-boundaries"
STATIONS = "velib-emplacement-des-stations"
OWN = (BORDERS, STATIONS)
_COLORS = 128
_PATIENCE = 600

DEFS = """\
type: ods_pipeline.OpendatasoftPortal

attributes:
  portal: {url}
  name: {name}
  datasets:
    include: ["*"]
  features:
    include: [public-trees]
  tables:
    velib-emplacement-des-stations:
      asset:
        owners: ["team:mobility"]
        tags: {{ tier: gold }}
        freshness: 24
    world-administrative-boundaries: {{}}
  sensor:
    minimum_interval_seconds: 5
    running: true
"""
# The map opens in a dialog; it is moved aside, so that it and the page can be seen together.
_ASIDE = """
const image = document.querySelector("img[alt='map']");
const dialog = image.closest('.bp5-dialog, .bp4-dialog, .bp3-dialog, [role=dialog]');
document.querySelectorAll('[class*=overlay-backdrop]').forEach(e => e.style.opacity = 0);
dialog.style.cssText += ';width:400px;height:auto;min-height:0';
document.querySelectorAll('*').forEach(e => { if (!dialog.contains(e)) e.scrollTop = 0; });
document.documentElement.style.overflow = document.body.style.overflow = 'hidden';
const box = dialog.getBoundingClientRect();
const [right, top] = arguments;
dialog.style.transform = `translate(${right - box.right}px, ${top - box.top}px)`;
"""


def main() -> None:
    """Start everything, wait until all is loaded, and take the pictures."""
    wanted = sys.argv[1:] or ["dataset-asset", "lineage", "dbt"]
    if "dbt" in wanted:
        dbt()
    if own := [name for name in wanted if name != "dbt"]:
        of_own_assets(own)


def of_own_assets(wanted: Sequence[str]) -> None:
    """The pictures of a portal with two datasets that are assets of their own."""
    with (
        TemporaryDirectory() as folder,
        TemporaryDirectory() as profile,
        Emulator() as portal,
        running(Path(folder), portal.url, DEFS) as project,
        chromium(Path(profile)) as driver,
    ):
        pages = Pages(driver, project.url)
        for name in OWN:
            pages.asset(name)
            pages.wait(r"\nRow count\n", _PATIENCE)
        pages.graph()
        pages.click("Reload definitions")
        pages.asset(STATIONS)
        pages.wait(r"\nDescription\nVélib", _PATIENCE)
        pages.click("Hide navigation")
        for picture in wanted:
            {"dataset-asset": dataset_asset, "lineage": lineage}[picture](pages)


def dataset_asset(pages: Pages) -> None:
    """The page of a dataset: its description, columns and map, its checks and freshness."""
    pages.driver.set_window_size(1400, 1300)
    pages.asset(STATIONS)
    pages.says(r"\nColumns\n", r"\nFreshness policy\n")
    pages.picture("map")
    pages.driver.execute_script(_ASIDE, 1390, 700)
    keep(pages, "dataset-asset", (0, 0, 1400, 1100))


def lineage(pages: Pages) -> None:
    """The graph: from the portal's datasets to partitions and to assets of their own."""
    pages.driver.set_window_size(1440, 1300)
    pages.graph()
    for loaded in ("table", "layer"):
        pages.box(loaded, "100% filled", seconds=_PATIENCE)
    keep(pages, "lineage", (0, 0, 1440, 1150))


def dbt() -> None:
    """What a dbt model of the example project is made of: from the portal to the model."""
    with (
        TemporaryDirectory() as folder,
        TemporaryDirectory() as profile,
        Emulator() as portal,
        developed(copied(Path(folder), portal), installed(Path(folder) / "installed")) as project,
        chromium(Path(profile)) as driver,
    ):
        project.until(lambda: project.runs().keys() >= {"stations", "towns", "coverage"})
        pages = Pages(driver, project.url)
        pages.driver.set_window_size(1500, 1060)
        pages.open("/assets/stations?view=lineage&lineageScope=upstream&lineageDepth=4")
        pages.click("Hide navigation")
        pages.box("stations", "Materialized", seconds=_PATIENCE)
        keep(pages, "lineage-dbt", (0, 0, 1490, 860))


def keep(pages: Pages, name: str, box: tuple[int, int, int, int]) -> None:
    """Crop what is on the screen once it stands still, and keep it with few colours."""
    before = b""
    while (now := pages.driver.get_screenshot_as_png()) != before:
        before = now
        time.sleep(2)
    picture = Image.open(io.BytesIO(now)).convert("RGB").crop(box)
    picture.quantize(_COLORS, dither=Image.Dither.NONE).save(IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
