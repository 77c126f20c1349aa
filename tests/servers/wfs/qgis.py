"""QGIS Server over the layers: its project, and the program started.

How requests reach it is for `bridge` and `fastcgi`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers.wfs.bridge import bridged
from tests.servers.wfs.fastcgi import served
from tests.servers.wfs.layers import LAYERS, Layer
from tests.servers.wfs.programs import found

PROJECT = """\
<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.0" projectname="city">
  <projectlayers>
{layers}
  </projectlayers>
  <properties>
    <WFSLayers type="QStringList">{published}</WFSLayers>
    <WFSLayersPrecision>{precisions}</WFSLayersPrecision>
  </properties>
</qgis>
"""
_LAYER = """\
    <maplayer type="vector">
      <id>{id}</id>
      <datasource>{path}|layername={name}</datasource>
      <layername>{name}</layername>
      <provider encoding="UTF-8">ogr</provider>
      <srs><spatialrefsys><authid>EPSG:{epsg}</authid></spatialrefsys></srs>
    </maplayer>
"""


@contextmanager
def qgis(folder: Path, package: Path) -> Iterator[str]:
    """Serve the layers with QGIS Server.

    Args:
        folder: For its files.
        package: The GeoPackage with the layers.

    Yields:
        The address of the host that it is served from.
    """
    with served_project(folder, _project(LAYERS, package)) as url:
        yield url


@contextmanager
def served_project(folder: Path, project: str) -> Iterator[str]:
    """Serve a project with QGIS Server.

    Args:
        folder: For its files.
        project: The project, as the text of its file.

    Yields:
        The address of the host that it is served from.
    """
    path, home = folder / "city.qgs", folder / "home"
    home.mkdir(mode=0o700)
    path.write_text(project)
    told = {
        "QGIS_PROJECT_FILE": str(path),
        "QT_QPA_PLATFORM": "offscreen",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
    }
    with served(found("qgis_mapserv.fcgi"), folder, told) as program, bridged(program, told) as url:
        yield url


def _project(layers: Sequence[Layer], package: Path) -> str:
    ids = [_id(layer) for layer in layers]
    return PROJECT.format(
        layers="".join(
            _LAYER.format(id=id, path=package, name=layer.name, epsg=layer.epsg)
            for id, layer in zip(ids, layers, strict=True)
        ),
        published="".join(f"<value>{id}</value>" for id in ids),
        precisions="".join(
            f'<{id} type="int">17</{id}>'
            for id, layer in zip(ids, layers, strict=True)
            if not layer.plain
        ),
    )


def _id(layer: Layer) -> str:
    # QGIS drops layers whose identifiers have 10 characters or fewer.
    return f"layer_of_the_city_{layer.name}"
