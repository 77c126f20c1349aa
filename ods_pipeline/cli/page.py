"""One page of a landed dataset for browsers: it stands alone, and runs and loads nothing.

What it says is decided in `show`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from ods_pipeline.lake import map_image
from ods_pipeline.lake.overview import Overview
from ods_pipeline.markup import facts, literal, table

# Even if a text got out of its element, a browser would load and run nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """\
:root { color-scheme: light dark; --line: #8884; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: auto; padding: 1rem;
  overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: start; vertical-align: top; padding: .25rem .75rem .25rem 0;
  border-bottom: 1px solid var(--line); }
th { white-space: nowrap; }
td { min-width: 4rem; }
.wide { overflow-x: auto; overflow-wrap: normal; }
figure { margin: 0; }
img { max-width: 100%; height: auto; background: white; border-radius: .25rem; }
"""
_INCHES = (7, 4.5)


def page(overview: Overview, about: Mapping[str, str], values: Sequence[Sequence[str]]) -> str:
    """The page as HTML.

    Args:
        overview: The dataset.
        about: What is said of it.
        values: Its first rows.
    """
    title = literal(overview.landed.title)
    columns = {
        "field": [item.name for item in overview.columns],
        "type": [item.type for item in overview.columns],
        "label": [item.label for item in overview.columns],
        "description": [item.description for item in overview.columns],
        "unit": [item.unit for item in overview.columns],
    }
    told = {name: texts for name, texts in columns.items() if any(texts)}
    parts = [
        f"<h1>{title}</h1>",
        facts(about),
        _map(overview, about.get("extent", "")),
        _section("Columns", table(list(told), zip(*told.values(), strict=True))),
        _section("First rows", table(overview.names, values)) if values else "",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n"
        f"{''.join(parts)}\n</body>\n</html>\n"
    )


def _section(title: str, content: str) -> str:
    return f'<h2>{title}</h2><div class="wide">{content}</div>'


def _map(overview: Overview, extent: str) -> str:
    path = overview.landed.path
    drawn = map_image.is_drawn(path) and map_image.drawable()
    image = map_image.png(path, _INCHES) if drawn else b""
    if not image:
        return ""
    told = literal(f"Map of {overview.landed.title}: {extent}")
    source = base64.b64encode(image).decode()
    figure = f'<figure><img alt="{told}" src="data:image/png;base64,{source}"></figure>'
    return f"<h2>Map</h2>{figure}"
