"""Commands of ``adq dev``, for developers. Each module defines one command."""
