"""Planning: from a network to steps, shares of tiles and cycles."""
