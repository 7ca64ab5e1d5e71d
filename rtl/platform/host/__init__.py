"""The platform behind registers and a bus master: it runs whole programs."""
