"""Energy of what stands around the tiles of a platform: blocks measured at gate level, memories."""
