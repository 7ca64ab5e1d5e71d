"""Configuration of the documentation site. ``make docs`` builds it."""

import sys
from pathlib import Path

import adq

sys.path.insert(0, str(Path(__file__).parent))

project = "ADQ"
author = "the ADQ authors"
version = release = adq.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "attribute_docstrings",
    "generated_reference",
]
exclude_patterns = ["_build"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True

napoleon_google_docstring = False
napoleon_custom_sections = [("Members", "params_style")]

html_theme = "furo"
html_title = "ADQ"
html_copy_source = False
html_show_copyright = False
