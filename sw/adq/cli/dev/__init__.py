"""Commands of ``adq dev``, for those who change the project: a module each."""
