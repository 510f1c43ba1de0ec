"""What a drawing holds: its texts and paths as SVG, the rows behind its marks."""

from typing import Any
from xml.etree import ElementTree

from compoundnet.evaluate.drawing import svg

__all__ = ["drawn", "marks", "paths", "texts"]


def drawn(chart: Any) -> ElementTree.Element:
    return ElementTree.fromstring(svg(chart, "name", "label"))


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def paths(root: ElementTree.Element, **attributes: str) -> list[ElementTree.Element]:
    found = root.iter("{http://www.w3.org/2000/svg}path")
    return [path for path in found if all(path.get(k.replace("_", "-")) == v for k, v in attributes.items())]


def marks(chart: Any, kind: str) -> list[list[dict[str, Any]]]:
    """The rows of every layer of one kind of mark."""
    spec = chart.to_dict()
    data = [layer["data"] for layer in spec["layer"] if layer["mark"]["type"] == kind]
    return [rows["values"] if "values" in rows else spec["datasets"][rows["name"]] for rows in data]
