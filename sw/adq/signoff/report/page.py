"""The report as one HTML page that needs nothing else: no network, no script."""

from importlib.resources import files

from jinja2 import Environment, StrictUndefined

__all__ = ["render"]


def render(content: dict) -> str:
    """Return the page of what ``gather`` gives; every text in it is escaped."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = files("adq.signoff.report").joinpath("page.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(content)
