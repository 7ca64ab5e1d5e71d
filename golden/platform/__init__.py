"""Programs of the platform: planning, their bytes, and the interpreter that runs them."""
