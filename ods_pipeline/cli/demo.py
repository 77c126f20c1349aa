"""`python -m ods_pipeline.cli.demo`: the main job on the sample portal, offline, in half a minute.

It runs the very commands that a user would type and then shows what is in the warehouse. It has
its own folder, which is made again each time, and touches nothing else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import duckdb

from ods_pipeline.emulator import Emulator
from ods_pipeline.lake import map_image

_FOLDER = Path("data/demo")

_QUERIES = {
    "codes stay text, leading zeros and all": (
        "SELECT pid, neighbourhood_code, current_land_value, tax_levy\n"
        'FROM "{schema}"."property-tax-report" LIMIT 3'
    ),
    "dates are dates": (
        "SELECT region, year(date) AS year, round(avg(tmoy), 1) AS mean_temperature\n"
        'FROM "{schema}"."temperature-quotidienne-regionale"\n'
        "WHERE region IN ('Bretagne', 'Corse') GROUP BY ALL ORDER BY region, year LIMIT 4"
    ),
    "shapes are geometries with a CRS": (
        "SELECT name, iso3, typeof(geo_shape) AS shape\n"
        'FROM "{schema}"."world-administrative-boundaries" ORDER BY name LIMIT 4'
    ),
    "a layer read through WFS agrees with the records": (
        "SELECT count(*) AS features, count_if(f.geo_shape = r.geo_shape) AS same_shape\n"
        'FROM "{schema}"."world-administrative-boundaries__features" AS f\n'
        'JOIN "{schema}"."world-administrative-boundaries" AS r USING (name)'
    ),
    "every load is written down": (
        'SELECT "table", rows, verdict, data_processed\n'
        'FROM "{schema}"._loads ORDER BY loaded_at LIMIT 4'
    ),
}


def main() -> None:
    """Sync the sample portal twice, compare both exports, and query what came of it."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    with Emulator() as portal:
        environment = {"ODS_PORTAL": portal.url, "ODS_DATA_DIR": str(_FOLDER)}
        _say("A portal with real datasets runs on this machine. Bring all of it into DuckDB, and")
        _say("the geographic ones once more through WFS, with all their geometries:")
        _run(environment, "sync", "--features")
        _say("The same tables through the CSV exports, compared row by row, landing nothing:")
        _run(environment, "sync", "--verify", "--format", "csv")
        _say("Once more. Nothing has changed, which one request tells:")
        _run(environment, "sync", "--features")
        _say("A publisher edits a title and republishes another dataset with the same content:")
        portal.describe("public-art", title="Public art of Vancouver")
        portal.republish("velib-emplacement-des-stations")
        _run(environment, "plan", "public-art", "velib-emplacement-des-stations")
        _say("A layer as a file for a map, its features counted against the portal:")
        layer = _FOLDER / "public-art.geojson"
        _run(environment, "export", "public-art", "--as", "geojson", "-o", str(layer))
        schema = portal.url.removeprefix("http://").translate(str.maketrans(".:", "__"))
    _show(_FOLDER / "warehouse.duckdb", schema)
    _map(_FOLDER / "lake" / portal.url.removeprefix("http://").replace(":", "_"))
    click.echo(
        "\nNext:\n"
        f"  your own portal           ODS_PORTAL=data.economie.gouv.fr {_command()} plan\n"
        "  assets in Dagster's UI    make dev\n"
        f"  what has landed           {_command()} show --data-dir {_FOLDER}\n"
        f"  the tables in SQL         any client of DuckDB 2, on {_FOLDER}/warehouse.duckdb"
    )


def _say(text: str) -> None:
    click.secho(f"\n{text}", bold=True)


def _run(environment: dict[str, str], *arguments: str) -> None:
    click.secho(f"$ ods-pipeline {' '.join(arguments)}", fg="cyan")
    sys.stdout.flush()
    command = [sys.executable, "-m", "ods_pipeline.cli", *arguments]
    subprocess.run(command, env={**os.environ, **environment}, check=True)  # noqa: S603


def _command() -> str:
    """What to type for the command line of this environment."""
    command = Path(sys.executable).with_name("ods-pipeline")
    here = Path.cwd()
    return str(command.relative_to(here) if command.is_relative_to(here) else command)


def _map(lake: Path) -> None:
    """Draw the layer of administrative boundaries, as a picture and on the terminal."""
    layer = lake / "features" / "world-administrative-boundaries.parquet"
    drawn = _FOLDER / "map.png"
    drawn.write_bytes(map_image.png(layer, inches=(10, 6)))
    _say(f"The layer {layer.stem} as it landed, also in {drawn}:")
    click.echo(map_image.braille(layer))


def _show(warehouse: Path, schema: str) -> None:
    with duckdb.connect(warehouse, read_only=True) as connection:
        for title, query in _QUERIES.items():
            sql = query.format(schema=schema)
            _say(f"In the warehouse, {title}:")
            click.secho(sql, fg="cyan")
            click.echo(connection.sql(sql))


if __name__ == "__main__":
    main()
