"""Control of layers: descriptors, and the settings that follow from them."""
